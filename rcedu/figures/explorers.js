// The explorers of the notebooks. What they show is computed in this file, from closed forms and from pictures that were
// drawn beforehand; so they are alive without a kernel: on the website, in a notebook that was opened and not run.
//
// It is the front end of an anywidget (https://anywidget.dev/en/afm): a host calls render({ model, el }), and `model` has
//   kind    which explorer, a key of EXPLORERS
//   data    its numbers, as rcedu/figures/explorers.py writes them
//   sprite  its pictures: a data URL of one image, `data.columns` in a row, number i at `data.places[i]`; "" if there are none
//   setting what the controls say; set at every change
// rcedu/figures/explorers.py is the host that needs no kernel; of what stands between "begin" and "end" it takes along what
// its explorer needs. rcedu/figures/live.py is a host with Python behind it, whose model has more: see "python" below.
// Symbols are the papers': t, T, x0, x_t, eps, alpha, sigma, w.

// ---------------------------------------------------------------------------------------------------- equations

// begin schedule
const SHAPES = {
  exponential: (t, T, lam) => Math.exp(-lam * (1 - t / T)),
  "two-sided": (t, T, lam) => Math.exp(-lam * (t > T / 2 ? 1 - t / T : t / T)),
  sigmoid: (t, T, center) => 1 / (1 + Math.exp(-20 * (t / T - center))),
  quadratic: (t, T) => ((2 * t) / T - 1) ** 2,
  constant: (t, T, p) => p,
};

// A measured p(t): straight lines through (times, values), level outside them.
function onLines(t, times, values) {
  const right = times.findIndex((time) => time >= t);
  if (right <= 0) return right === 0 ? values[0] : values.at(-1);
  const share = (t - times[right - 1]) / (times[right] - times[right - 1]);
  return values[right - 1] + share * (values[right] - values[right - 1]);
}
// end schedule

// begin mixture
// alpha_bar of diffusers' squaredcos_cap_v2, for t = 0 ... T - 1.
function squaredCosine(T) {
  const f = (s) => Math.cos((((s + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  let product = 1;
  return range(T).map((i) => (product *= 1 - Math.min(1 - f((i + 1) / T) / f(i / T), 0.999)));
}

// t_i = round((i + 1) T / N) - 1, downwards, and then clean data, t = -1.
const timeGrid = (N, T) => [...range(N).reverse().map((i) => roundHalfEven(((i + 1) * T) / N) - 1), -1];

// Data on a line: equal Gaussians of one spread around `means`. Noise keeps a Gaussian Gaussian, so all is known.
class Mixture {
  constructor(means, spread, alphaBar) {
    Object.assign(this, { means, spread, alphaBar, fine: timeGrid(FINE, alphaBar.length) });
  }
  alpha(t) {
    return t < 0 ? 1 : Math.sqrt(this.alphaBar[t]);
  }
  sigma(t) {
    return t < 0 ? 0 : Math.sqrt(1 - this.alphaBar[t]);
  }
  variance(t) {
    return (this.alpha(t) * this.spread) ** 2 + this.sigma(t) ** 2;
  }
  // Of every Gaussian, how much of p(x_t) it is.
  parts(x_t, t) {
    const [alpha, variance] = [this.alpha(t), this.variance(t)];
    const height = 1 / (this.means.length * Math.sqrt(2 * Math.PI * variance));
    return this.means.map((mu) => height * Math.exp(-((x_t - alpha * mu) ** 2) / (2 * variance)));
  }
  density(x_t, t) {
    return sum(this.parts(x_t, t));
  }
  // E[x0 | x_t], the best prediction there is. Shares are taken before they underflow, far from all means.
  posteriorMean(x_t, t) {
    const [alpha, variance] = [this.alpha(t), this.variance(t)];
    const logs = this.means.map((mu) => -((x_t - alpha * mu) ** 2) / (2 * variance));
    const most = Math.max(...logs);
    const shares = logs.map((log) => Math.exp(log - most));
    const gain = (alpha * this.spread ** 2) / variance;
    return sum(this.means.map((mu, k) => shares[k] * (mu + gain * (x_t - alpha * mu)))) / sum(shares);
  }
  // x_next = alpha_next x0_hat + sigma_next eps_hat
  ddimStep(x_t, t, next) {
    const x0 = this.posteriorMean(x_t, t);
    const eps = (x_t - this.alpha(t) * x0) / this.sigma(t);
    return this.alpha(next) * x0 + this.sigma(next) * eps;
  }
  // The points [t, x_t] of a way over `times`.
  ddim(x, times) {
    const points = [[times[0], x]];
    for (let i = 1; i < times.length; i++) points.push([times[i], (x = this.ddimStep(x, times[i - 1], times[i]))]);
    return points;
  }
  // Where the way from x_t ends if its steps are small: what a consistency model learns to say at once.
  wayOut(x_t, t) {
    return this.ddim(x_t, [t, ...this.fine.filter((time) => time < t)]).at(-1)[1];
  }
  // The x0 that is predicted, noised anew to the next time: x_next = alpha_next x0 + sigma_next eps.
  consistency(x, times, eps) {
    const points = [[times[0], x]];
    for (let i = 1; i < times.length; i++) {
      const x0 = this.wayOut(x, times[i - 1]);
      points.push([times[i], (x = this.alpha(times[i]) * x0 + this.sigma(times[i]) * eps(i))]);
    }
    return points;
  }
}
const FINE = 100; // steps of a way that stands for the exact one
const QUANTILES = [-1.28, -0.84, -0.52, -0.25, 0, 0.25, 0.52, 0.84, 1.28]; // of N(0, 1), at 10%, 20%, ...: where ways begin
// end mixture

// ------------------------------------------------------------------------------------------------- small helpers

const range = (n) => Array.from({ length: n }, (_, i) => i);
const sum = (list) => list.reduce((a, b) => a + b, 0);
const mean = (list) => sum(list) / list.length;
const general = (x) => String(Number(Number(x).toPrecision(6))); // Python's "g": 5 and not 5.00
const signed = (x) => x.toFixed(2).replace("-", "−");
const aDigit = (digit) => `${digit === 8 ? "an" : "a"} ${digit}`;
const capital = (text) => text[0].toUpperCase() + text.slice(1);
const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const middle = (list) => list[Math.floor(list.length / 2)];
const quoted = (text) => `"${text}"`;

// What was computed for a setting, for as long as it is the same one: words and picture both need it.
function once(compute) {
  let [last, made] = [null, null];
  return (setting) => {
    if (setting !== last) [last, made] = [setting, compute(setting)];
    return made;
  };
}

// Python's round, which takes a half to the even number; so the grid is the sampler's own.
function roundHalfEven(x) {
  const below = Math.floor(x);
  return x - below === 0.5 ? below + (below % 2) : Math.round(x);
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

// --------------------------------------------------------------------------------------------------- explorers
//
// An explorer is { controls, sentence, python, picture }: the first says what can be set, the others say what a setting
// means, which line of Python makes it, and what is to be seen: { plots, keys, strips, bars }, each of which may be missing.
//   control  { name, label, values(setting), first, say(value), menu: a list of words instead of a slider,
//              again(values, before, setting): what is chosen when the values have changed }
//   plot     of `plot` below;    key  [colour, words]: what a colour means
//   strip    { name, frames, size, note, marked }: a row of pictures and what it is called

const EXPLORERS = {};

// begin schedule
EXPLORERS["schedule"] = ({ T, families, measured, batch, foreign, trained, unseen }, sprite) => {
  const every = range(T);
  const symbol = (family) => families[family].symbol;
  const p = ({ family, parameter }) => {
    if (family in SHAPES) return (t) => SHAPES[family](t, T, parameter);
    return (t) => onLines(t, measured.times, measured[family]);
  };
  const curve = once((setting) => every.map(p(setting)));
  const curves = trained.map(curve);
  const name = ({ family, parameter }) => (symbol(family) ? `${family}, ${symbol(family)} = ${general(parameter)}` : family);

  // What `randomize` does, with the random numbers that it drew: chance < p(t) is swapped, as 32-bit numbers compare.
  const swapped = (setting) => batch.t.map((t, i) => batch.chance[i] < Math.fround(p(setting)(t)));
  const given = (setting) => swapped(setting).map((swap, i) => (swap ? batch.stranger[i] : batch.c[i]));

  const nearest = once((p_t) => {
    const distances = curves.map((other) => mean(other.map((q, t) => Math.abs(q - p_t[t]))));
    const best = distances.indexOf(Math.min(...distances));
    return { ...trained[best], curve: curves[best], distance: distances[best] };
  });

  function parameters({ family }) {
    const { low, high } = families[family];
    return low === undefined ? [] : range(Math.round((high - low) / 0.05) + 1).map((i) => Number((low + i * 0.05).toFixed(2)));
  }

  const controls = [
    { name: "family", label: "p(t)", menu: Object.keys(families), first: "exponential" },
    {
      name: "parameter",
      label: ({ family }) => symbol(family),
      values: parameters,
      first: families.exponential.default,
      say: general,
      again: (values, before, { family }) => families[family].default,
    },
  ];

  function sentence(setting) {
    const p_t = curve(setting);
    const near = nearest(p_t);
    return (
      `${name(setting)}: mean p = ${mean(p_t).toFixed(3)}; ${sum(swapped(setting))} of ${batch.t.length} conditions swapped. ` +
      `Nearest schedule that was trained: ${name(near)} (mean |Δp| = ${near.distance.toFixed(3)}): asked ${unseen} read as ` +
      `${unseen} ${near.unseen} %, other digits ${near.seen} %, digit-FID ${near.fid}.`
    );
  }

  function python({ family, parameter }) {
    if (symbol(family)) return `p = swap_schedule(${quoted(family)}, ${general(parameter)}, T=${T})`;
    return `p = swap_schedule(${quoted(family)}, T=${T}${family in SHAPES ? "" : ', path=measured_file("digits")'})`;
  }

  function picture(setting, kept) {
    const [p_t, swaps, c_hat] = [curve(setting), swapped(setting), given(setting)];
    const before = kept && given(kept);
    const lines = [
      { points: nearest(p_t).curve.map((q, t) => [t, q]), colour: "grey", dashes: "2 4" },
      kept && { points: every.map((t) => [t, p(kept)(t)]), colour: "purple", dashes: "9 4" },
      { points: p_t.map((q, t) => [t, q * foreign]), colour: "orange", dashes: "6 4" },
      { points: p_t.map((q, t) => [t, q]), colour: "blue", wide: true },
    ];
    const dots = batch.t.map((t, i) => ({ at: [t, p_t[t]], colour: swaps[i] ? "orange" : "blue" }));
    return {
      plots: [{ x: [0, T], y: [0, 1], xlabel: "timestep t", ylabel: "probability", lines, dots, tall: 0.62 }],
      keys: [
        ["blue", "p(t), the probability of a swap; dots: the pictures below"],
        ["orange", "dashed: that the condition is really another one; boxes and dots: swapped"],
        ["grey", "dotted: the nearest p(t) that was trained"],
        kept && ["purple", `dashed: kept, ${name(kept)}; framed below: another condition than with it`],
      ],
      strips: batch.t.map((t, i) => ({
        name: `t = ${t}`,
        frames: [sprite(i)],
        size: 62,
        note: swaps[i] ? `${batch.c[i]} → ${c_hat[i]}` : `${batch.c[i]}`,
        marked: swaps[i],
        framed: before && before[i] !== c_hat[i],
      })),
    };
  }
  return { controls, sentence, python, picture };
};
// end schedule

// begin denoising
EXPLORERS["denoising"] = ({ times, alphas, c, noise, shares }, sprite) => {
  const eps = fromBase64(noise); // at half contrast, as x_t is shown
  const S = c.length;
  const place = ({ t, source, asked }) => (times.indexOf(t) * S + c.indexOf(source)) * 10 + asked;
  const source = (setting) => sprite(c.indexOf(setting.source));
  const denoised = (setting) => sprite(S + place(setting));
  // [source's, asked's, the digit that is read]: percent, percent, digit
  const judged = (setting) => shares.slice(3 * place(setting), 3 * place(setting) + 3);

  // x_t = alpha_t x0 + sigma_t eps, at half contrast: pixels of [-2, 2] are shown as black to white
  function noisy(setting) {
    const alpha = alphas[times.indexOf(setting.t)];
    const sigma = Math.sqrt(1 - alpha ** 2);
    const own = eps.subarray(c.indexOf(setting.source) * 784, (c.indexOf(setting.source) + 1) * 784);
    return source(setting).map((x0, i) => 127.5 + (alpha * (x0 - 127.5)) / 2 + sigma * (own[i] - 127.5));
  }

  const controls = [
    { name: "t", label: "t, where it starts", values: () => times, first: middle(times), say: (t) => `t = ${t}` },
    { name: "source", label: "source", menu: c, first: c[0] === 8 ? c[0] : c.includes(7) ? 7 : c[0] },
    { name: "asked", label: "denoised as", menu: range(10), first: c[0] === 8 ? 3 : 8 },
  ];

  function sentence(setting) {
    const [own, asked, reads] = judged(setting);
    return (
      `${capital(aDigit(setting.source))}, noised to t = ${setting.t} and denoised as ${aDigit(setting.asked)}: ` +
      `the judge gives ${setting.source} ${own}% and ${setting.asked} ${asked}%, and reads ${aDigit(reads)}.`
    );
  }

  function python({ t, source, asked }) {
    // one noise for all sources together: a source alone would get that of the first
    const x0 = `teacher.codec.encode(to_pixels(torch.cat([images[labels == c][:1] for c in [${c.join(", ")}]])))`;
    const x_t = `noised(teacher, ${x0}, ${t}, seed=0)[[${c.indexOf(source)}]]`;
    return `teacher.sample(${x_t}, torch.tensor([${asked}]), w=1.0, steps=25, start=${t})`;
  }

  const strips = (setting) => [
    { name: `source: ${aDigit(setting.source)}`, frames: [source(setting)], size: 130 },
    { name: `noised to t = ${setting.t}`, frames: [noisy(setting)], size: 130 },
    { name: `denoised as ${aDigit(setting.asked)}`, frames: [denoised(setting)], size: 130 },
  ];

  function bars(setting) {
    const [own, asked] = judged(setting);
    const [first, second] = [`${setting.source}, the source's`, `${setting.asked}, asked for`];
    if (setting.source === setting.asked) return [[first, own, "vermillion"], ["any other digit", 100 - own, "grey"]];
    return [[first, own, "vermillion"], [second, asked, "blue"], ["any other digit", Math.max(0, 100 - own - asked), "grey"]];
  }

  const picture = (setting, kept) => ({
    strips: compared(strips, setting, kept),
    bars: { title: "The judge's probability of", rows: bars(setting) },
  });
  return { controls, sentence, python, picture };
};
// end denoising

// begin few-steps
EXPLORERS["few-steps"] = ({ w, steps, asked, right }, sprite) => {
  const B = asked.length;
  const row = (i) => range(B).map((b) => sprite(i * B + b));
  const most = Math.max(...steps);
  const downwards = steps.toSorted((a, b) => b - a); // as in the tables: most steps first
  const teacher = (setting) => row(w.indexOf(setting.w));
  const student = (setting) => row(w.length + w.indexOf(setting.w) * steps.length + steps.indexOf(setting.N));

  const controls = [
    { name: "w", label: "w, guidance", values: () => w, first: middle(w), say: (value) => `w = ${general(value)}` },
    { name: "N", label: "N, steps", values: () => downwards, first: middle(downwards), say: (N) => plural(N, "step") },
  ];
  const sentence = (setting) =>
    `w = ${general(setting.w)}, N = ${setting.N}: ${plural(setting.N, "evaluation")} a digit (above, the teacher: ` +
    `${most * (setting.w ? 2 : 1)}); ${right[w.indexOf(setting.w)][steps.indexOf(setting.N)]} of ${B} are read as asked`;
  const python = (setting) => `students[${setting.N}].sample(noise, c, w=${general(setting.w)}, steps=${setting.N})`;
  const strips = (setting) => [
    { name: `teacher, N = ${most}, w = ${general(setting.w)}`, frames: teacher(setting), size: 66 },
    { name: `student, N = ${setting.N}, w = ${general(setting.w)}`, frames: student(setting), size: 66 },
  ];
  return { controls, sentence, python, picture: (setting, kept) => ({ strips: compared(strips, setting, kept) }) };
};
// end few-steps

// begin edits
EXPLORERS["edits"] = ({ shows, labels, strengths, steps, read, names, first }, sprite) => {
  const place = ({ source, target, strength, N }) => {
    const pair = shows.indexOf(source) * labels.length + labels.indexOf(target);
    return (pair * strengths.length + strengths.indexOf(strength)) * steps.length + steps.indexOf(N);
  };
  const taken = ({ strength, N }) => Math.max(1, roundHalfEven(strength * N)); // a strength is so many of the grid's steps
  const mostFirst = steps.toSorted((a, b) => b - a);

  const controls = [
    { name: "source", label: "source", menu: shows, first: first.source },
    { name: "target", label: "asked for", menu: labels, first: first.target },
    {
      name: "strength",
      label: "strength",
      values: () => strengths,
      first: first.strength,
      say: (strength) => `${general(100 * strength)}% of the way`,
    },
    { name: "N", label: "N, steps", values: () => mostFirst, first: middle(mostFirst), say: (N) => plural(N, "step") },
  ];
  const sentence = (setting) =>
    `a ${setting.source}, asked for a ${setting.target}: the last ${taken(setting)} of ${setting.N} steps, ` +
    `${plural(taken(setting), "evaluation")}; read as a ${names[read[place(setting)]]}`;
  // looked up: not all of the networks that drew these ship
  const python = ({ source, target, strength, N }) =>
    `frames.drawn[${shows.indexOf(source)}, ${labels.indexOf(target)}, ${strengths.indexOf(strength)}, [${steps.indexOf(N)}]]`;
  const strips = (setting) => [
    { name: `source: ${setting.source}`, frames: [sprite(shows.indexOf(setting.source))], size: 130 },
    { name: `became, asked for: ${setting.target}`, frames: [sprite(shows.length + place(setting))], size: 130 },
  ];
  return { controls, sentence, python, picture: (setting, kept) => ({ strips: compared(strips, setting, kept) }) };
};
// end edits

// begin small-and-fast
EXPLORERS["small-and-fast"] = ({ insides, ways, drawn, count, first }, sprite) => {
  const key = ({ inside, way, N }) => `${inside}, ${way}, ${N}`;
  const wayNamed = (title) => ways[title];
  const row = (setting) => range(count).map((i) => sprite(drawn[key(setting)].row * count + i));
  const stepsOf = ({ inside, way }) => {
    const before = `${inside}, ${wayNamed(way)}, `;
    const found = Object.keys(drawn).filter((name) => name.startsWith(before)).map((name) => name.slice(before.length));
    return found.filter((rest) => /^\d+$/.test(rest)).map(Number).sort((a, b) => b - a); // most steps first
  };
  const teachers = Object.keys(drawn).filter((name) => name.includes(", teacher, "));
  const most = Number(teachers[0].split(", ").at(-1));
  const chosen = ({ inside, way, N }) => ({ inside, way: wayNamed(way), N });

  const controls = [
    { name: "inside", label: "inside", menu: insides, first: first.inside },
    { name: "way", label: "drawn by", menu: Object.keys(ways), first: first.way },
    {
      name: "N",
      label: "N, steps",
      values: stepsOf,
      first: first.N,
      say: (N) => plural(N, "step"),
      // the steps that the way has, and as near as can be to those that were chosen
      again: (values, before) => {
        const apart = (N) => Math.abs(Math.log(N / before));
        return values.reduce((a, b) => (apart(b) < apart(a) ? b : a));
      },
    },
  ];
  const sentence = (setting) => `${setting.way}, N = ${setting.N}, ${setting.inside}: ${drawn[key(chosen(setting))].says}`;
  const python = (setting) => `pictures[${quoted(key(chosen(setting)))}][:${count}]`;
  const strips = (setting) => [
    { name: `teacher, N = ${most}`, frames: row({ inside: setting.inside, way: "teacher", N: most }), size: 66 },
    { name: `${setting.way}, N = ${setting.N}`, frames: row(chosen(setting)), size: 66 },
  ];
  return { controls, sentence, python, picture: (setting, kept) => ({ strips: compared(strips, setting, kept) }) };
};
// end small-and-fast

// begin mixture
EXPLORERS["mixture"] = ({ own, stranger, spread, T, x0, eps }) => {
  const alphaBar = squaredCosine(T);
  const of = { c: new Mixture(own, spread, alphaBar), "c̃, a stranger's": new Mixture(stranger, spread, alphaBar) };
  const [c, other] = Object.values(of);
  const OVER = ["nothing", "halved steps", "consistency steps"];
  const x = range(161).map((i) => -4 + i / 20);
  const begin = timeGrid(1, T)[0];
  const x_t = (t) => c.alpha(t) * x0 + c.sigma(t) * eps; // one picture of c, noised to t
  // The densities under both conditions, and the lower of the two: [x, density].
  function densitiesAt(t) {
    const curve = (data) => x.map((x) => [x, data.density(x, t)]);
    const [p, q] = [curve(c), curve(other)];
    return { p, q, shared: p.map(([x, y], i) => [x, Math.min(y, q[i][1])]) };
  }
  const [now, before] = [once(densitiesAt), once(densitiesAt)]; // of the setting, and of the one that is kept

  // Ways do not change with t, so they are kept; t is what is dragged.
  const known = new Map();
  function ways({ condition, N, over }) {
    const key = `${condition} ${N} ${over}`;
    if (!known.has(key)) known.set(key, compute(of[condition], N, over));
    return known.get(key);
  }
  function compute(data, N, over) {
    const exact = QUANTILES.map((x_T) => data.ddim(x_T, data.fine));
    const steps = QUANTILES.map((x_T) => data.ddim(x_T, timeGrid(N, T)));
    const overlaid = {
      nothing: () => [],
      "halved steps": () => steps.map((points) => (N === 1 ? points : points.filter((_, i) => i % 2 === 0))),
      // new noise at every step: the same nine numbers in another order
      "consistency steps": () =>
        QUANTILES.map((x_T, i) => data.consistency(x_T, timeGrid(N, T), (step) => QUANTILES[(4 * i + 5 * step) % 9])),
    }[over]();
    const off = mean(steps.map((points, i) => Math.abs(points.at(-1)[1] - exact[i].at(-1)[1])));
    return { exact, steps, overlaid, off };
  }

  const controls = [
    { name: "t", label: "t", values: () => range(T), first: 600, say: (t) => `t = ${t}` },
    { name: "condition", label: "paths under", menu: Object.keys(of), first: "c" },
    { name: "N", label: "N, steps of DDIM", values: () => [1, 2, 4, 8, 16, 32], first: 4, say: (N) => plural(N, "step") },
    { name: "over", label: "over them", menu: OVER, first: "halved steps" },
  ];

  function overInWords({ N, over }) {
    if (over === "halved steps") {
      if (N === 1) return " One step cannot be halved.";
      return ` A student of ${plural(N / 2, "step")} goes straight to every second of these points.`;
    }
    if (over === "nothing") return "";
    return " A consistency step goes to the end of the exact path at once, and noise takes it back to the next time.";
  }
  function sentence(setting) {
    const { t, N, condition } = setting;
    const here = x_t(t);
    const shared = sum(now(t).shared.map(([, y]) => y)) / 20;
    return (
      `t = ${t}: p(xₜ | c) and p(xₜ | c̃) share ${shared.toFixed(2)}. At xₜ = ${signed(here)}, a noisy picture of c, the mean ` +
      `of x₀ is ${signed(c.posteriorMean(here, t))} under c and ${signed(other.posteriorMean(here, t))} under c̃. DDIM in ` +
      `${plural(N, "step")} under ${condition.split(",")[0]} ends ${ways(setting).off.toFixed(2)} from the exact paths, ` +
      `on average.${overInWords(setting)}`
    );
  }

  function python({ t, condition }) {
    const means = (condition === "c" ? own : stranger).map((mu) => mu.toFixed(1));
    return `p = noised_mixture(torch.tensor([${means.join(", ")}]), ${spread}, alpha_t=alpha[${t}], sigma_t=sigma[${t}])`;
  }

  function picture(setting, kept) {
    const { t } = setting;
    const { p, q, shared } = now(t);
    const here = x_t(t);
    const { exact, steps, overlaid } = ways(setting);
    const xs = { x: [-4, 4], xlabel: "xₜ" };
    const highest = 1.04 * Math.max(0.5, ...p.map(([, y]) => y), ...q.map(([, y]) => y));
    const densities = {
      ...xs,
      y: [0, highest],
      ylabel: "density",
      area: shared,
      lines: [
        kept && { points: before(kept.t).p, colour: "purple", dashes: "2 3" },
        kept && { points: before(kept.t).q, colour: "purple", dashes: "9 4" },
        { points: p, colour: "vermillion", wide: true },
        { points: q, colour: "blue", dashes: "7 4", wide: true },
        { points: [[here, 0], [here, highest]], colour: "grey", dashes: "2 3" },
      ],
    };
    const meanCurve = (data) => x.map((x) => [x, data.posteriorMean(x, t)]);
    const means = {
      ...xs,
      y: [-3, 3],
      ylabel: "mean of x₀",
      lines: [
        { points: meanCurve(c), colour: "vermillion", wide: true },
        { points: meanCurve(other), colour: "blue", dashes: "7 4", wide: true },
        { points: [[here, -3], [here, 3]], colour: "grey", dashes: "2 3" },
      ],
      dots: [
        { at: [here, c.posteriorMean(here, t)], colour: "vermillion" },
        { at: [here, other.posteriorMean(here, t)], colour: "blue" },
      ],
    };
    const paths = {
      x: [begin, -1],
      y: [-2.8, 2.8],
      xlabel: "t, from noise to data",
      ylabel: "xₜ",
      lines: [
        ...exact.map((points) => ({ points, colour: "grey" })),
        ...steps.map((points) => ({ points, colour: "green", dashes: "6 3" })),
        ...overlaid.map((points) => ({ points, colour: "orange", wide: true })),
        { points: [[t, -2.8], [t, 2.8]], colour: "grey", dashes: "2 3" },
      ],
      dots: steps.flatMap((points) => points.map((at) => ({ at, colour: "green" }))),
      tall: 0.8,
    };
    const over = setting.over === "nothing" ? null : ["orange", setting.over];
    return {
      plots: [densities, means, paths],
      keys: [
        ["vermillion", "c: its density, and the mean of x₀ given xₜ"],
        ["blue", "dashed: the same of c̃"],
        ["lime", "shaded: what the two densities share"],
        ["grey", "exact paths; dotted: t, and one noisy picture xₜ of c"],
        ["green", `dashed: DDIM in ${plural(setting.N, "step")}`],
        over,
        kept && ["purple", `the densities kept, at t = ${kept.t}`],
      ],
    };
  }
  return { controls, sentence, python, picture };
};
// end mixture

// begin draw
// Nothing is known beforehand: what networks draw, Python says.
EXPLORERS["draw"] = ({ first }) => {
  const controls = [
    { name: "asked", label: "asked for", menu: range(10), first: first.asked },
    { name: "w", label: "w, guidance", values: () => range(17).map((i) => i / 4), first: first.w, say: (w) => `w = ${general(w)}` },
    { name: "seed", label: "seed of the noise", values: () => range(100), first: first.seed, say: String },
  ];
  const sentence = ({ asked, w, seed }) => `Ask for ${aDigit(asked)}, w = ${general(w)}, from the noise of seed ${seed}.`;
  const python = ({ asked, w, seed }) =>
    `networks["teacher"].sample(teacher.noise(8, seed=${seed}), torch.full((8,), ${asked}), w=${general(w)}, steps=25)`;
  return { controls, sentence, python, picture: () => ({}), keeps: false };
};
// end draw

// Two settings of an explorer of pictures: of the kept one what is not the same, this one, and where their last rows differ.
function compared(strips, setting, kept) {
  const now = strips(setting);
  if (!kept) return now;
  const before = strips(kept);
  const last = before.at(-1);
  const frames = now.at(-1).frames.map((frame, i) => frame.map((grey, j) => Math.abs(grey - last.frames[i][j])));
  const others = before.filter((strip) => strip === last || !now.some(({ name }) => name === strip.name));
  return [
    ...others.map((strip) => ({ ...strip, name: `kept: ${strip.name}`, kept: true })),
    ...now,
    { name: "difference: white where they differ", frames, size: now.at(-1).size, apart: true },
  ];
}

// ------------------------------------------------------------------------------------------------------ drawing

const LEFT = 46; // pixels beside and below a plot that its numbers need
const BELOW = 38;
const RIGHT = 20;

// Round numbers within [a, b], or [b, a]: steps of 1, 2 or 5 times a power of ten, three to six of them.
function ticks([a, b]) {
  const [low, high] = [Math.min(a, b), Math.max(a, b)];
  const power = 10 ** Math.floor(Math.log10((high - low) / 3));
  const step = power * [5, 2, 1].find((times) => (high - low) / (times * power) >= 3);
  return range(Math.floor(high / step) - Math.ceil(low / step) + 1).map((i) => (Math.ceil(low / step) + i) * step);
}

const PATHS = new WeakMap(); // points that stay the same from one setting to the next, as SVG writes them

// A plot as SVG, drawn for the width it has: text that is scaled with a picture is too small on a phone.
function plot({ x, y, xlabel, ylabel, lines = [], dots = [], area, tall = 0.5 }, width) {
  const height = Math.round(Math.max(170, Math.min(300, width * tall)));
  const X = (value) => LEFT + ((value - x[0]) / (x[1] - x[0])) * (width - LEFT - RIGHT);
  const Y = (value) => height - BELOW - ((value - y[0]) / (y[1] - y[0])) * (height - BELOW - 10);
  const tenths = (pixels) => Math.round(10 * pixels) / 10;
  // Of a curve, a point every two pixels or so: a change is to be shown within a frame.
  const thinned = (points, step) => points.filter((_, i) => i % step === 0 || i === points.length - 1);
  function path(points) {
    const known = PATHS.get(points);
    if (known?.width === width) return known.d;
    const few = thinned(points, Math.ceil((2 * points.length) / width));
    const d = few.map(([a, b], i) => `${i ? "L" : "M"}${tenths(X(a))} ${tenths(Y(b))}`).join("");
    PATHS.set(points, { width, d });
    return d;
  }
  const number = (value) => general(value).replace("-", "−");
  // One element for all dots of a colour, ends of lines of no length: hundreds of circles take the browser a frame.
  const colours = [...new Set(dots.map(({ colour }) => colour))];
  const dotted = (colour) => dots.filter((dot) => dot.colour === colour).map(({ at: [a, b] }) => `M${X(a)} ${Y(b)}h0`).join("");
  const parts = [
    `<path class="grid" d="${ticks(y).map((v) => `M${LEFT} ${Y(v)}H${width - RIGHT}`).join("")}"/>`,
    ...ticks(y).map((v) => `<text x="${LEFT - 6}" y="${Y(v) + 4}" text-anchor="end">${number(v)}</text>`),
    ...ticks(x).map((v) => `<text x="${X(v)}" y="${height - BELOW + 16}" text-anchor="middle">${number(v)}</text>`),
    area && `<path class="lime" d="${path([[area[0][0], y[0]], ...area, [area.at(-1)[0], y[0]]])}Z"/>`,
    ...lines.filter(Boolean).map(({ colour, wide, dashes = "", points }) => {
      return `<path class="line ${colour}${wide ? " wide" : ""}" stroke-dasharray="${dashes}" d="${path(points)}"/>`;
    }),
    ...colours.map((colour) => `<path class="dot ${colour}" d="${dotted(colour)}"/>`),
    `<text x="${(LEFT + width) / 2}" y="${height - 4}" text-anchor="middle">${xlabel}</text>`,
    `<text class="ylabel" x="${-(height - BELOW) / 2}" y="12" text-anchor="middle">${ylabel}</text>`,
  ];
  return `<svg width="${width}" height="${height}" aria-hidden="true">${parts.filter(Boolean).join("")}</svg>`;
}

// A strip's canvas holds its own pixels, one for one; the browser enlarges it.
function paint(canvas, frames) {
  const { shown = [] } = canvas;
  if (shown.length === frames.length && frames.every((frame, i) => frame === shown[i])) return;
  canvas.shown = frames;
  const side = Math.round(Math.sqrt(frames[0].length));
  [canvas.width, canvas.height] = [frames.length * (side + 2) - 2, side];
  const image = new ImageData(canvas.width, canvas.height);
  frames.forEach((frame, n) =>
    frame.forEach((grey, i) => {
      const place = 4 * (Math.floor(i / side) * canvas.width + n * (side + 2) + (i % side));
      image.data.fill(grey, place, place + 3);
      image.data[place + 3] = 255;
    }),
  );
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// Elements are kept from one setting to the next, so that nothing flickers: as many `tag`s as there are things to show.
function fitted(host, count, make) {
  while (host.children.length < count) host.append(make());
  while (host.children.length > count) host.lastChild.remove();
  return [...host.children];
}

function emptyStrip() {
  const figure = element("figure", "strip");
  figure.append(element("figcaption"), element("canvas"), element("span", "note"));
  figure.querySelector("canvas").setAttribute("role", "img");
  return figure;
}

function drawStrips(host, strips = [], sentence) {
  fitted(host, strips.length, emptyStrip).forEach((figure, i) => {
    const { name, frames, size, note, marked, framed, kept, apart } = strips[i];
    const [caption, canvas, below] = figure.children;
    const classes = { marked, framed, kept, one: frames.length === 1 };
    figure.className = ["strip", ...Object.keys(classes).filter((name) => classes[name])].join(" ");
    figure.style.setProperty("--width", `${frames.length * size}px`);
    caption.textContent = name;
    below.textContent = note ?? "";
    canvas.setAttribute("aria-label", note ? `${name}: ${note}` : apart || kept ? name : `${name}. ${sentence}`);
    paint(canvas, frames);
  });
}

function drawPlots(host, plots = [], sentence) {
  fitted(host, plots.length, () => element("div", "plot")).forEach((place, i) => {
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", `${plots[i].ylabel} over ${plots[i].xlabel}.${i ? "" : ` ${sentence}`}`);
    place.innerHTML = plot(plots[i], Math.max(240, Math.floor(place.clientWidth)));
  });
}

function drawKeys(host, keys = []) {
  const shown = keys.filter(Boolean);
  fitted(host, shown.length, () => {
    const item = element("li");
    item.append(element("i"), element("span"));
    return item;
  }).forEach((item, i) => {
    item.firstChild.className = shown[i][0];
    item.lastChild.textContent = shown[i][1];
  });
}

function drawBars(host, bars) {
  host.hidden = !bars;
  if (!bars) return;
  host.firstChild.textContent = bars.title;
  fitted(host.lastChild, bars.rows.length, () => {
    const row = element("div", "bar");
    row.append(element("span"), element("i"), element("b"));
    return row;
  }).forEach((row, i) => {
    const [name, percent, colour] = bars.rows[i];
    const [words, bar, number] = row.children;
    words.textContent = name;
    bar.className = colour;
    bar.style.setProperty("--share", `${percent}%`);
    number.textContent = `${percent}%`;
  });
}

// ------------------------------------------------------------------------------------------------------ controls

const valuesOf = (control, setting) => control.menu ?? control.values(setting);
const labelOf = (control, setting) => (typeof control.label === "function" ? control.label(setting) : control.label) ?? "";

let numbered = 0; // labels and controls find each other by id, which a page has once

// A slider over the places of its values, or a menu of words. Returns its element and what brings it up to a setting.
function makeControl(control, change) {
  const box = element("div", "control");
  const label = element("label");
  const input = element(control.menu ? "select" : "input");
  label.htmlFor = input.id = `rcedu-control-${Date.now().toString(36)}-${numbered++}`;
  input.name = control.name;
  const said = element("span", "said");
  said.setAttribute("aria-hidden", "true"); // the slider says it itself, as aria-valuetext
  box.append(label, said, input);
  if (control.menu) {
    box.classList.add("menu");
    control.menu.forEach((word, i) => input.add(new Option(String(word), i)));
  } else {
    input.type = "range";
    [input.min, input.step] = ["0", "1"];
  }
  input.addEventListener("input", () => change(control, Number(input.value)));

  function update(setting) {
    const values = valuesOf(control, setting);
    box.hidden = values.length === 0;
    label.textContent = labelOf(control, setting);
    if (!control.menu) input.max = String(Math.max(0, values.length - 1));
    input.value = String(values.indexOf(setting[control.name]));
    if (control.menu || box.hidden) return;
    const words = control.say(setting[control.name]);
    said.textContent = words;
    input.setAttribute("aria-valuetext", words);
  }
  return { box, update };
}

// The setting after a control was moved to a place: others keep their value, or choose again where it is gone.
function settingAfter(controls, setting, moved, place) {
  const after = { ...setting, [moved.name]: valuesOf(moved, setting)[place] };
  for (const control of controls) {
    if (control === moved || control.menu) continue;
    const [before, values] = [valuesOf(control, setting), valuesOf(control, after)];
    const same = before.length === values.length && before.every((value, i) => value === values[i]);
    const decides = control.again && valuesOf(control, after).length && (!same || symbolChanged(control, setting, after));
    if (decides) after[control.name] = control.again(values, setting[control.name], after);
    else if (!values.length) after[control.name] = undefined;
  }
  return after;
}
const symbolChanged = (control, a, b) => typeof control.label === "function" && a.family !== b.family;

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // a page from disk, or inside a frame, may not write there; the older way asks nobody
    const field = document.body.appendChild(element("textarea", "", text));
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}

// -------------------------------------------------------------------------------------------------- the whole thing

// The pictures of a sprite, each as its greys: number -> Uint8ClampedArray of side * side.
async function readSprite(address, { columns, side, places }) {
  if (!address) return () => null;
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = element("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const known = new Map();
  return (number) => {
    const place = places[number];
    if (!known.has(place)) {
      const [left, top] = [(place % columns) * side, Math.floor(place / columns) * side];
      const { data } = context.getImageData(left, top, side, side);
      known.set(place, data.filter((_, i) => i % 4 === 0));
    }
    return known.get(place);
  };
}

let addPython = () => () => {};

// begin python
// A button that has Python compute with the present setting, and what comes of it. The model has, beside the usual,
//   button    what stands on it
//   progress  { running, share, says }: of the work
//   rows      [{ name, count, greys }]: rows of so many pictures, in base64
addPython = (model, root, setting) => {
  const [box, row, strips] = [element("div", "python"), element("div", "actions"), element("div", "strips")];
  const [button, bar, says] = [element("button"), element("progress"), element("p", "says")];
  button.type = "button";
  bar.setAttribute("aria-label", "progress");
  says.setAttribute("aria-live", "polite");
  button.addEventListener("click", () => {
    model.send(model.get("progress").running ? { do: "stop" } : { do: "start", setting: setting() });
  });
  row.append(button, bar);
  box.append(row, says, strips);
  root.append(box);

  function draw() {
    const { running, share, says: words } = model.get("progress");
    button.textContent = running ? "Stop" : model.get("button");
    bar.hidden = !running;
    bar.value = share;
    if (says.textContent !== words) says.textContent = words; // or a screen reader says it again
    const rows = model.get("rows").map(({ name, count, greys }) => {
      const all = fromBase64(greys);
      const pixels = all.length / count;
      return { name, frames: range(count).map((i) => all.subarray(i * pixels, (i + 1) * pixels)), size: 62 };
    });
    drawStrips(strips, rows, words);
  }
  const heard = ["change:progress", "change:rows"];
  for (const name of heard) model.on(name, draw);
  draw();
  return () => heard.forEach((name) => model.off(name, draw));
};
// end python

// Light text means a dark page, whoever made it so: the website's own theme, JupyterLab's, VS Code's or the system's.
function followTheme(root, el) {
  const look = () => {
    if (!el.isConnected) return; // anywidget puts it into the page afterwards
    const [r, g, b] = getComputedStyle(el).color.match(/[\d.]+/g).map(Number);
    root.classList.toggle("dark", 0.3 * r + 0.6 * g + 0.1 * b > 128);
  };
  const said = ["class", "data-theme", "theme", "data-jp-theme-light", "data-vscode-theme-kind"];
  const options = { attributes: true, attributeFilter: said };
  const observer = new MutationObserver(look);
  for (const node of [document.documentElement, document.body]) observer.observe(node, options);
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", look);
  look();
  return { look, forget: () => (observer.disconnect(), system.removeEventListener("change", look)) };
}

function skeleton() {
  const root = element("div", "rcedu-explorer");
  root.dataset.lmSuppressShortcuts = "true"; // or JupyterLab takes the arrow keys and jumps to the next cell
  const parts = {
    style: element("style", "", STYLE),
    controls: element("div", "controls"),
    plots: element("div", "plots"),
    keys: element("ul", "keys"),
    strips: element("div", "strips"),
    bars: element("div", "bars"),
    sentence: element("p", "sentence"),
    before: element("p", "before"),
    actions: element("div", "actions"),
  };
  parts.bars.append(element("div", "title"), element("div"));
  parts.sentence.setAttribute("aria-live", "polite");
  parts.keep = element("button", "", "Keep this one");
  parts.copy = element("button", "", "Copy the Python line");
  parts.line = element("code");
  for (const button of [parts.keep, parts.copy]) button.type = "button";
  parts.actions.append(parts.keep, parts.copy, parts.line);
  const { style, controls, before, plots, keys, strips, bars, sentence, actions } = parts;
  root.append(style, controls, plots, keys, strips, bars, sentence, before, actions); // words last: their length changes
  return { root, ...parts };
}

async function render({ model, el }) {
  const data = model.get("data");
  const sprite = await readSprite(model.get("sprite"), data);
  const explorer = EXPLORERS[model.get("kind")](data, sprite);
  const parts = skeleton();
  let setting = Object.fromEntries(explorer.controls.map((control) => [control.name, control.first]));
  let kept = null;

  function draw() {
    const words = explorer.sentence(setting);
    const { plots, keys, strips, bars } = explorer.picture(setting, kept);
    parts.sentence.textContent = words;
    parts.line.textContent = explorer.python(setting);
    drawPlots(parts.plots, plots, words);
    drawKeys(parts.keys, keys);
    drawStrips(parts.strips, strips, words);
    drawBars(parts.bars, bars);
    for (const control of controls) control.update(setting);
  }
  function change(control, place) {
    setting = settingAfter(explorer.controls, setting, control, place);
    model.set("setting", setting);
    model.save_changes();
    draw();
  }
  const controls = explorer.controls.map((control) => makeControl(control, change));
  parts.controls.append(...controls.map(({ box }) => box));

  parts.keep.addEventListener("click", () => {
    kept = kept ? null : { ...setting };
    parts.before.textContent = kept ? `Kept: ${explorer.sentence(kept)}` : "";
    parts.keep.textContent = kept ? "Let the kept one go" : "Keep this one";
    draw();
  });
  parts.copy.addEventListener("click", async () => {
    await copy(explorer.python(setting));
    parts.copy.textContent = "Copied";
    setTimeout(() => (parts.copy.textContent = "Copy the Python line"), 1500);
  });
  parts.keep.hidden = explorer.keeps === false;
  const forgetPython = addPython(model, parts.root, () => setting);
  parts.root.addEventListener("keydown", (event) => event.stopPropagation()); // the keys of a control are the control's

  el.replaceChildren(parts.root); // and the still picture that stood here goes
  const theme = followTheme(parts.root, el);
  let width = 0;
  const sized = new ResizeObserver(() => {
    if (parts.root.clientWidth === width) return;
    width = parts.root.clientWidth;
    theme.look();
    draw();
  });
  sized.observe(parts.root);
  draw();
  return () => (sized.disconnect(), theme.forget(), forgetPython());
}

// Colours are Okabe and Ito's, which colour-blind readers can tell apart; every line has dashes of its own as well.
const STYLE = `
.rcedu-explorer { --blue: #0072b2; --orange: #b86e00; --grey: #6a6a6a; --vermillion: #c44f00; --green: #00795a; --purple: #a3457a;
  --lime: #009e7355; --box: #ffd37a; --ink: #1b1b1b; --faint: #d5d5d5; --panel: #f6f7f8;
  box-sizing: border-box; width: 100%; max-width: 60rem; margin: 0.5rem 0; padding: 0.8rem;
  border: 1px solid var(--faint); border-radius: 8px; background: var(--panel); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; overflow-wrap: anywhere; container-type: inline-size; }
.rcedu-explorer.dark { --blue: #6cc0f5; --orange: #f5b335; --grey: #b0b0b0; --vermillion: #ff8f57; --green: #3ed0a3; --purple: #e79cc4;
  --lime: #3ed0a355; --box: #7a4d00; --ink: #ececec; --faint: #4a4d50; --panel: #1c1e20; color-scheme: dark; }
.rcedu-explorer *, .rcedu-explorer *::before { box-sizing: border-box; }
.rcedu-explorer [hidden] { display: none !important; }
.rcedu-explorer p { margin: 0.6rem 0; }
.rcedu-explorer .controls { display: flex; flex-wrap: wrap; gap: 0.4rem 1.6rem; align-items: end; }
.rcedu-explorer .control { flex: 1 1 15rem; min-width: 0; max-width: 100%; display: grid; grid-template-columns: 1fr auto; gap: 0 0.6rem; }
.rcedu-explorer .control.menu { flex: 0 1 auto; }
.rcedu-explorer label { font-weight: 600; }
.rcedu-explorer .said { font-variant-numeric: tabular-nums; }
.rcedu-explorer input, .rcedu-explorer select { grid-column: 1 / -1; width: 100%; min-height: 2.2rem; margin: 0; font: inherit; accent-color: var(--blue); }
.rcedu-explorer input { cursor: pointer; touch-action: pan-y; }
.rcedu-explorer select, .rcedu-explorer button { color: var(--ink); background: transparent; border: 1px solid var(--grey); border-radius: 5px; padding: 0.2rem 0.6rem; }
.rcedu-explorer option { color: var(--ink); background: var(--panel); }
.rcedu-explorer button { font: inherit; min-height: 2.2rem; cursor: pointer; }
.rcedu-explorer button:hover { background: color-mix(in srgb, var(--blue) 16%, transparent); }
.rcedu-explorer :focus-visible { outline: 3px solid var(--blue); outline-offset: 2px; }
.rcedu-explorer .before { color: var(--purple); }
.rcedu-explorer .before:empty { display: none; }
.rcedu-explorer .plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 0.4rem; }
.rcedu-explorer .plots .plot:only-child { max-width: 44rem; }
.rcedu-explorer .plot:nth-child(3) { grid-column: 1 / -1; }
.rcedu-explorer .plots:empty, .rcedu-explorer .keys:empty, .rcedu-explorer .strips:empty { display: none; }
.rcedu-explorer svg { display: block; max-width: 100%; background: none; }
.rcedu-explorer svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
.rcedu-explorer svg .ylabel { transform: rotate(-90deg); }
.rcedu-explorer svg .grid { stroke: var(--faint); fill: none; }
.rcedu-explorer svg .line { stroke: currentColor; fill: none; stroke-width: 1.5; }
.rcedu-explorer svg .line.wide { stroke-width: 2.5; }
.rcedu-explorer svg .dot { stroke: currentColor; stroke-width: 7; stroke-linecap: round; fill: none; }
.rcedu-explorer svg .lime { fill: var(--lime); }
.rcedu-explorer .blue { color: var(--blue); } .rcedu-explorer .orange { color: var(--orange); } .rcedu-explorer .grey { color: var(--grey); }
.rcedu-explorer .vermillion { color: var(--vermillion); } .rcedu-explorer .green { color: var(--green); }
.rcedu-explorer .purple { color: var(--purple); } .rcedu-explorer .lime { color: var(--lime); }
.rcedu-explorer .keys { display: flex; flex-wrap: wrap; gap: 0.1rem 1.2rem; margin: 0.3rem 0 0.6rem; padding: 0; list-style: none; font-size: 13px; }
.rcedu-explorer .keys li { margin: 0; display: flex; gap: 0.4rem; align-items: baseline; }
.rcedu-explorer .keys i { flex: none; width: 0.8em; height: 0.8em; border-radius: 2px; background: currentColor; }
.rcedu-explorer .strips { display: flex; flex-wrap: wrap; gap: 0.5rem 0.35rem; margin-top: 0.5rem; }
.rcedu-explorer .strip { display: flex; flex-direction: column; justify-content: end; margin: 0; width: var(--width); max-width: 100%; font-size: 13px; border-radius: 4px; padding: 2px; }
.rcedu-explorer .strip canvas { display: block; width: 100%; image-rendering: pixelated; background: #606060; }
.rcedu-explorer .strip.kept figcaption { color: var(--purple); }
.rcedu-explorer .strip .note:empty { display: none; }
.rcedu-explorer .strip .note { display: block; text-align: center; font-weight: 600; }
.rcedu-explorer .strip figcaption { margin: 0; text-align: left; }
.rcedu-explorer .strip.marked .note { background: var(--box); border-radius: 3px; }
.rcedu-explorer .strip.framed { outline: 2px dashed var(--purple); }
.rcedu-explorer .bars { margin: 0.6rem 0; max-width: 34rem; font-size: 14px; }
.rcedu-explorer .bar { display: grid; grid-template-columns: 8.5rem 1fr 3rem; gap: 0.5rem; align-items: center; }
.rcedu-explorer .bar i { height: 0.9em; border-radius: 2px; background: linear-gradient(currentColor, currentColor) no-repeat 0 0 / var(--share) 100%, var(--faint); }
.rcedu-explorer .bar b { text-align: right; font-variant-numeric: tabular-nums; }
.rcedu-explorer .actions { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center; margin-top: 0.7rem; }
.rcedu-explorer .python { margin-top: 0.7rem; padding-top: 0.1rem; border-top: 1px solid var(--faint); }
.rcedu-explorer progress { flex: 1 1 10rem; max-width: 24rem; accent-color: var(--blue); }
.rcedu-explorer .says:empty { display: none; }
.rcedu-explorer .actions code { flex: 1 1 16rem; min-width: 0; font: 13px/1.4 ui-monospace, monospace; color: var(--ink); background: none; border: 0; padding: 0; white-space: pre-wrap; }
/* single pictures in columns, so that what is kept stands above; the twelve of a batch in even rows */
.rcedu-explorer .strips:has(.one) { display: grid; grid-template-columns: repeat(4, minmax(0, 134px)); }
.rcedu-explorer .strips:has(.note:not(:empty)) { grid-template-columns: repeat(12, minmax(0, 66px)); }
.rcedu-explorer .strip.one { width: auto; }
.rcedu-explorer .strip.kept + .strip:not(.kept) { grid-column-start: 1; }
@container (max-width: 840px) { .rcedu-explorer .strips:has(.note:not(:empty)) { grid-template-columns: repeat(6, minmax(0, 5.5rem)); } }
@container (max-width: 440px) {
  .rcedu-explorer .strips:has(.one) { grid-template-columns: repeat(3, minmax(0, 1fr)); }
  .rcedu-explorer .strips:has(.note:not(:empty)) { grid-template-columns: repeat(4, minmax(0, 1fr)); }
}
@media print { .rcedu-explorer .controls, .rcedu-explorer .actions { display: none; } }
`;

export default { render };
