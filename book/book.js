/* What the pages do: a picture that is tapped opens large, and what scrolls inside itself can be reached by Tab. */
"use strict";

const scrollers = ".highlight pre, .table-wrapper, div.math, .math-wrapper, p, li, .cell_output";
const reach = () => {
  for (const element of document.querySelectorAll(`article :is(${scrollers})`)) {
    const scrolls = element.scrollWidth > element.clientWidth && /auto|scroll/.test(getComputedStyle(element).overflowX);
    if (scrolls) element.tabIndex = 0;
    else element.removeAttribute("tabindex");
  }
};

const enlarge = (image) => {
  const dialog = document.createElement("dialog");
  dialog.className = "enlarged";
  dialog.setAttribute("aria-label", "The picture, large");
  const close = dialog.appendChild(document.createElement("button"));
  close.textContent = "Close";
  const room = dialog.appendChild(document.createElement("div"));
  room.tabIndex = 0; // arrow keys move the picture
  const large = room.appendChild(document.createElement("img"));
  large.src = image.src;
  large.alt = image.alt;
  const fits = Math.min(innerWidth - 40, ((innerHeight - 40) * image.width) / image.height);
  large.width = Math.max(image.naturalWidth, fits);
  dialog.addEventListener("click", (event) => event.target !== room && event.target !== large && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
};

document.addEventListener("DOMContentLoaded", () => {
  reach();
  addEventListener("resize", reach);
  document.addEventListener("toggle", reach, true); // a <details> shows what was hidden
  for (const link of document.querySelectorAll("article a.internal:has(> img)")) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a tab of its own, as asked
      event.preventDefault();
      enlarge(link.querySelector("img"));
    });
  }
});
