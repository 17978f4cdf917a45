"""What moves on the page: one hop at a time, told by the address (`#hop=3`), buttons, keys, or a clock [pure].

Of two designs one is chosen; the other shows what stands in the place of the chosen one's hop.
"""

SCRIPT = """
"use strict";
const one = (query) => document.querySelector(query), all = (query) => [...document.querySelectorAll(query)];
const play = one("#play"), still = matchMedia("(prefers-reduced-motion: reduce)");
const STEP = 2800, TRAVEL = 1500, BESIDE = 16;
const panes = all(".pane").map((root, place) => {
  const within = (query) => [...root.querySelectorAll(query)], articles = within("article");
  return { root, place, design: root.dataset.design, articles, numbers: articles.map((one) => one.dataset.hop),
    buttons: within("[data-go]"), chips: within(".chip"), legs: within(".leg"), dot: within(".dot")[0],
    figure: within("figure")[0], none: within(".none")[0], frame: 0 };
});
let chosen = panes[0], at = 0, timer = 0, moved = false;

function show(pane, index) {
  chosen = pane;
  at = Math.max(0, Math.min(index, pane.numbers.length - 1));
  const beside = pane.articles[at].dataset.with.split(" ");
  panes.forEach((each) => {
    const own = each === pane;
    each.root.classList.toggle("chosen", own);
    mark(each, own ? [at] : beside.map((number) => each.numbers.indexOf(number)).filter((place) => place >= 0), own);
  });
  all("[data-choose]").forEach((button) => {
    button.setAttribute("aria-pressed", button.dataset.choose === pane.design);
  });
  one("#previous").disabled = at === 0;
  one("#next").disabled = at === pane.numbers.length - 1;
  const design = pane.place ? "design=" + pane.design + "&" : "";
  history.replaceState(null, "", "#" + design + "hop=" + pane.numbers[at]);
  moved = true;
}

function mark(pane, places, own) {
  const current = places.map((place) => pane.numbers[place]), first = places.length ? places[0] : 0;
  const passed = pane.numbers.slice(0, first);
  pane.articles.forEach((article, place) => { article.hidden = !places.includes(place); });
  pane.none.hidden = places.length > 0;
  pane.buttons.forEach((button) => {
    const is_current = current.includes(button.dataset.go);
    button.classList.toggle("with", is_current && !own);
    if (is_current && own) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
  });
  pane.chips.forEach((chip) => {
    const hops = chip.dataset.hops.split(" ");
    chip.classList.toggle("active", current.some((number) => hops.includes(number)));
    chip.classList.toggle("passed", passed.some((number) => hops.includes(number)));
  });
  pane.legs.forEach((leg, place) => {
    leg.classList.toggle("active", places.includes(place));
    leg.classList.toggle("passed", place < first);
  });
  bring_into_view(pane);
  travel(pane, places);
}

function bring_into_view(pane) {
  const around = pane.figure.getBoundingClientRect();
  const boxes = pane.chips.filter((chip) => chip.classList.contains("active"));
  const places = boxes.map((chip) => chip.getBoundingClientRect());
  if (!places.length) return;
  const top = Math.min(...places.map((box) => box.top)), bottom = Math.max(...places.map((box) => box.bottom));
  const away = (top + bottom) / 2 - (around.top + Math.min(around.bottom, innerHeight)) / 2;
  pane.figure.scrollTo({ top: pane.figure.scrollTop + away, behavior: still.matches || !moved ? "instant" : "smooth" });
}

function travel(pane, places) {
  cancelAnimationFrame(pane.frame);
  const legs = places.map((place) => ({ leg: pane.legs[place], number: pane.numbers[place] }));
  pane.dot.classList.toggle("away", !legs.length);
  if (!legs.length) return;
  const lengths = legs.map(({ leg }) => leg.getTotalLength());
  const whole = Math.max(0, lengths.reduce((sum, one) => sum + one, 0) - BESIDE);
  const put = (share) => {
    let rest = whole * share, place = 0;
    while (place < legs.length - 1 && rest > lengths[place]) rest -= lengths[place++];
    const point = legs[place].leg.getPointAtLength(rest);
    pane.dot.setAttribute("transform", "translate(" + point.x + " " + point.y + ")");
    pane.dot.lastChild.textContent = legs[place].number;
  };
  if (still.matches) return put(1);
  const begin = performance.now();
  const step = (now) => {
    const share = Math.min(1, Math.max(0, (now - begin) / TRAVEL));
    put(share < .5 ? 2 * share * share : 1 - 2 * (1 - share) * (1 - share));
    if (share < 1) pane.frame = requestAnimationFrame(step);
  };
  put(0);
  pane.frame = requestAnimationFrame(step);
}

function stop() { clearInterval(timer); timer = 0; play.textContent = "Play"; }
function toggle() {
  if (timer) return stop();
  show(chosen, at === chosen.numbers.length - 1 ? 0 : at);
  play.textContent = "Pause";
  timer = setInterval(() => { if (at === chosen.numbers.length - 1) stop(); else show(chosen, at + 1); }, STEP);
}
function go(pane, index) { stop(); show(pane, index); }
function choose(pane) {
  if (pane === chosen) return;
  go(pane, Math.max(0, pane.numbers.indexOf(chosen.articles[at].dataset.with.split(" ")[0])));
}
function fromAddress() {
  const told = new URLSearchParams(location.hash.slice(1));
  const pane = panes.find((each) => each.design === told.get("design")) || panes[0];
  show(pane, Math.max(0, pane.numbers.indexOf(told.get("hop"))));
}

one("#previous").onclick = () => go(chosen, at - 1);
one("#next").onclick = () => go(chosen, at + 1);
play.onclick = toggle;
all("[data-choose]").forEach((button) => {
  button.onclick = () => choose(panes.find((pane) => pane.design === button.dataset.choose));
});
panes.forEach((pane) => {
  pane.chips.forEach((chip) => {
    const hops = chip.dataset.hops.trim().split(" ").filter(Boolean);
    if (!hops.length) return;
    const next = () => hops[(hops.indexOf(pane === chosen ? pane.numbers[at] : "") + 1) % hops.length];
    chip.onclick = () => go(pane, pane.numbers.indexOf(next()));
  });
  [...pane.root.querySelectorAll("[data-other]")].forEach((button) => {
    const other = panes[1 - pane.place];
    button.onclick = () => go(other, other.numbers.indexOf(button.dataset.other));
  });
  pane.buttons.forEach((button) => { button.onclick = () => go(pane, pane.numbers.indexOf(button.dataset.go)); });
});
addEventListener("hashchange", fromAddress);
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("pre")) return;
  const keys = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: chosen.numbers.length - 1 };
  if (event.key in keys) { event.preventDefault(); go(chosen, keys[event.key]); }
  else if (event.key === "d" && panes.length > 1) choose(panes[1 - chosen.place]);
  else if (event.key === " " && !event.target.closest("button")) { event.preventDefault(); toggle(); }
});
if (chosen.numbers.length) fromAddress();
"""
