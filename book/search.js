/* What a search shows: entries of the glossary first, then sections with an excerpt around the word. Sphinx finds and ranks the
   pages; their texts come from search-texts.js, a script, because a page in a plain folder may not fetch its neighbours. */
"use strict";

const _link = (docname, anchor) => docname + DOCUMENTATION_OPTIONS.LINK_SUFFIX + (anchor ? "#" + anchor : "");

/* The section of a page that has most of the words, most often: [anchor, title, text], or undefined. */
const _bestSection = (sections, words) => {
  const score = ([, title, text]) => {
    const counts = words.map((word) => (title + " " + text).toLowerCase().split(word).length - 1);
    const titled = words.some((word) => title.toLowerCase().includes(word));
    return 100 * counts.filter(Boolean).length + Math.min(50, Math.max(0, ...counts)) + (titled ? 60 : 0);
  };
  return [...sections].sort((a, b) => score(b) - score(a))[0];
};

/* About 200 characters around the first of the words, whole words, with the words marked. */
const _excerpt = (text, words) => {
  const paragraph = document.createElement("p");
  paragraph.classList.add("context");
  const places = words.map((word) => text.toLowerCase().indexOf(word)).filter((place) => place >= 0);
  let start = Math.max(0, Math.min(...places, text.length) - 80);
  if (!places.length) start = 0;
  if (start) start = text.indexOf(" ", start) + 1;
  let end = text.indexOf(" ", start + 220);
  if (end < 0) end = text.length;
  const shown = (start ? "… " : "") + text.slice(start, end) + (end < text.length ? " …" : "");
  const any = new RegExp(`((?:${words.map(_escapeRegExp).join("|")})[\\w-]*)`, "gi");
  shown.split(any).forEach((part, i) => {
    const node = i % 2 ? document.createElement("mark") : document.createTextNode(part);
    if (i % 2) node.textContent = part;
    paragraph.append(node);
  });
  return paragraph;
};

const _show = (kind, address, title, text, words) => {
  const item = Search.output.appendChild(document.createElement("li"));
  item.classList.add(kind);
  const link = item.appendChild(document.createElement("a"));
  link.href = address;
  link.textContent = title;
  if (text) item.append(_excerpt(text, words));
};

Search.query = (query) => {
  const parsed = Search._parseQuery(query);
  const stems = [...parsed[1]].filter((word) => word.length > 1);
  const typed = query.toLowerCase().trim();
  const words = stems.length ? stems : [typed];
  const glossary = SEARCH_TEXTS.entries.filter(([, name]) => {
    const names = name.toLowerCase();
    return names.split(/, | · /).includes(typed) || (stems.length && stems.every((word) => names.includes(word)));
  });
  glossary.sort(([, a], [, b]) => a.length - b.length);
  for (const [anchor, name, text] of glossary)
    _show("entry", _link(SEARCH_TEXTS.glossary, anchor), "Glossary: " + name, text, words);
  const pages = new Set();
  for (const [docname, title] of Search._performSearch(...parsed).reverse()) {
    if (pages.has(docname)) continue;
    pages.add(docname);
    const [anchor, section, text] = _bestSection(SEARCH_TEXTS.pages[docname] ?? [], words) ?? ["", "", ""];
    const whole = title.split(" > ")[0];
    _show("found", _link(docname, anchor), section && section !== whole ? `${whole} › ${section}` : whole, text, words);
  }
  _finishSearch(glossary.length + pages.size);
  if (glossary.length + pages.size) Search.status.textContent = `${glossary.length} in the glossary, ${pages.size} pages.`;
};
