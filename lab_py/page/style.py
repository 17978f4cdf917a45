"""How the page looks: light and dark, from 320 pixels up; colours keep a contrast of 4.5 to 1 [pure].

A narrow screen shows one design at a time and scrolls; a wide one shows both, and each part of it scrolls by itself.
"""

STYLE = """
:root { --paper: #fbfbf9; --ink: #1c1f24; --soft: #5b6270; --line: #c9ccd3; --card: #ffffff; --pod: #f1f3f7;
  --hot: #b3400f; --hot-soft: #fbe6da; --done: #9aa3b2; --good: #17693a; --bad: #b3121d; --focus: #1a56c4; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171c; --ink: #e8eaee; --soft: #a6adba; --line: #3d4552;
  --card: #1b1f26; --pod: #232933; --hot: #ff9a62; --hot-soft: #4a2a18; --done: #6b7688; --good: #6fce95;
  --bad: #ff8b8f; --focus: #8ab4ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 12px 16px; background: var(--paper); color: var(--ink);
  font: 16px/1.45 system-ui, sans-serif; scrollbar-color: var(--done) transparent; }
body.one { max-width: 1240px; } body.two { max-width: 2200px; }
h1 { font-size: 1.2rem; line-height: 1.25; margin: 0; flex: 1 1 20em; }
h2 { font-size: 1.05rem; line-height: 1.3; margin: 0; } h2 small { font-weight: 400; color: var(--soft); }
h3 { font-size: 1.05rem; line-height: 1.35; margin: 0 0 8px; }
h4 { font-size: .78rem; color: var(--soft); margin: 14px 0 4px; text-transform: uppercase; letter-spacing: .05em; }
header, .bar { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 16px; }
header { padding: 0 0 8px; border-bottom: 1px solid var(--line); }
.head p { margin: 0 0 6px; color: var(--soft); font-size: .875rem; }
.good > .mark, strong.good { color: var(--good); } .bad > .mark, strong.bad { color: var(--bad); }
main { display: grid; gap: 12px 20px; grid-template-columns: minmax(0, 1fr); padding-top: 10px; }
.controls, .designs, ol { display: flex; flex-wrap: wrap; gap: 4px; margin: 0; padding: 0; list-style: none; }
button { font: inherit; min-width: 34px; min-height: 34px; padding: 2px 8px; color: var(--ink); background: var(--card);
  border: 1px solid var(--line); border-radius: 8px; cursor: pointer; }
button:disabled { color: var(--soft); cursor: default; }
#play { min-width: 66px; }
button.bad { border-color: var(--bad); color: var(--bad); }
button.with { border-color: var(--hot); border-width: 2px; }
button[aria-current], button[aria-pressed="true"] { background: var(--hot); border-color: var(--hot);
  color: var(--paper); font-weight: 600; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.pane { container-type: inline-size; min-width: 0; }
.two .pane.chosen h2 { color: var(--hot); } .two .pane.chosen h2 small { color: var(--soft); }
.stage { display: grid; gap: 12px; grid-template-columns: minmax(0, 1fr); margin-top: 10px; min-height: 0; }
figure { margin: 0; min-width: 0; max-height: 50vh; overflow: auto; border-radius: 12px; }
svg { display: block; width: 100%; max-width: 600px; margin: 0 auto; height: auto; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
.box { fill: var(--card); stroke: var(--line); } .box:not(.node) { fill: var(--pod); }
svg .name { font-weight: 600; font-size: 13px; } svg .note { fill: var(--soft); font-size: 11px; }
.fabric { stroke: var(--line); stroke-width: 6; stroke-linecap: round; fill: none; }
.plug { stroke: var(--line); stroke-width: 2; fill: none; }
.chip rect { fill: var(--card); stroke: var(--line); } svg .chip text { font: 11px ui-monospace, monospace; }
.chip.process rect { stroke-width: 2; } .chip.rules rect { stroke-dasharray: 3 2; }
.chip.passed rect { stroke: var(--done); stroke-width: 2; }
.chip.active rect { fill: var(--hot-soft); stroke: var(--hot); stroke-width: 2; }
.leg { fill: none; stroke: none; stroke-width: 2.5; stroke-linecap: round; stroke-linejoin: round; }
.leg.passed { stroke: var(--done); opacity: .55; } .leg.active { stroke: var(--hot); stroke-width: 3.5; }
.leg.bad { stroke-dasharray: 1 7; } .leg.bad.active { stroke: var(--bad); }
.dot circle { fill: var(--hot); stroke: var(--paper); stroke-width: 2; }
svg .dot text { fill: var(--paper); font-weight: 700; font-size: 10px; }
.dot.away { display: none; }
.chip:not([data-hops="  "]) { cursor: pointer; }
article, .none { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 12px 14px;
  margin: 0 0 10px; }
.instead { display: flex; flex-wrap: wrap; gap: 4px 8px; align-items: center; margin: 12px 0 0; color: var(--soft); }
[hidden] { display: none; } .none { color: var(--soft); }
.number { display: inline-block; min-width: 1.7em; text-align: center; border-radius: 1em; background: var(--hot);
  color: var(--paper); }
article ul { list-style: none; margin: 0; padding: 0; }
article li { padding: 6px 0; border-top: 1px solid var(--line); }
article li:first-child { border-top: 0; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0 10px; margin: 2px 0 0;
  font-size: .875rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
pre { font: .75rem/1.5 ui-monospace, monospace; margin: 6px 0 0; padding: 8px; max-height: 15em; overflow: auto;
  background: var(--pod); border-radius: 8px; scrollbar-width: thin; }
code { font: .8rem ui-monospace, monospace; }
footer { color: var(--soft); font-size: .8rem; padding-top: 8px; }
@media (max-width: 999px) { .pane:has(~ .chosen), .chosen ~ .pane { display: none; }
  header { display: contents; }
  .bar { position: sticky; top: 0; z-index: 1; gap: 8px; padding: 8px 0; background: var(--paper);
    border-bottom: 1px solid var(--line); } }
@media (max-width: 560px) { body { padding: 10px 12px; } h1 { font-size: 1.05rem; } }
@media (min-width: 1000px) { .designs, .instead { display: none; }
  .two main { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); } }
@media (min-width: 1000px) and (min-height: 560px) {
  body { height: 100vh; height: 100dvh; display: flex; flex-direction: column; }
  main { flex: 1; min-height: 0; }
  .pane { display: flex; flex-direction: column; min-height: 0; }
  .stage { flex: 1; grid-template-rows: minmax(0, 3fr) minmax(0, 2fr); }
  figure, .seen { max-height: none; min-height: 0; overflow: auto; scrollbar-width: thin; } }
@container (min-width: 800px) { .stage { grid-template: minmax(0, 1fr) / minmax(0, 1fr) minmax(0, 1fr); } }
"""
