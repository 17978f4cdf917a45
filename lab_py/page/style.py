"""How the page looks: light and dark, from 320 pixels up; colours keep a contrast of 4.5 to 1 [pure]."""

STYLE = """
:root { --paper: #fbfbf9; --ink: #1c1f24; --soft: #5b6270; --line: #c9ccd3; --card: #ffffff; --pod: #f1f3f7;
  --hot: #b3400f; --hot-soft: #fbe6da; --done: #9aa3b2; --good: #17693a; --bad: #b3121d; --focus: #1a56c4; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171c; --ink: #e8eaee; --soft: #a6adba; --line: #3d4552;
  --card: #1b1f26; --pod: #232933; --hot: #ff9a62; --hot-soft: #4a2a18; --done: #6b7688; --good: #6fce95;
  --bad: #ff8b8f; --focus: #8ab4ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 16px; background: var(--paper); color: var(--ink);
  font: 16px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.35rem; line-height: 1.25; margin: 0 0 4px; }
h2 { font-size: 1.1rem; line-height: 1.35; margin: 0 0 8px; }
h3 { font-size: .8rem; color: var(--soft); margin: 16px 0 4px; text-transform: uppercase; letter-spacing: .05em; }
header p { margin: 0 0 12px; color: var(--soft); }
.good > .mark, strong.good { color: var(--good); } .bad > .mark, strong.bad { color: var(--bad); }
main { display: grid; gap: 16px; grid-template-columns: minmax(0, 1fr); }
nav { position: sticky; top: 0; z-index: 1; background: var(--paper); padding: 8px 0; display: flex; flex-wrap: wrap;
  gap: 8px 16px; border-bottom: 1px solid var(--line); }
.controls, ol { display: flex; flex-wrap: wrap; gap: 4px; margin: 0; padding: 0; list-style: none; }
button { font: inherit; min-width: 34px; min-height: 34px; padding: 2px 8px; color: var(--ink); background: var(--card);
  border: 1px solid var(--line); border-radius: 8px; cursor: pointer; }
#play { min-width: 72px; }
button.bad { border-color: var(--bad); color: var(--bad); }
button[aria-current] { background: var(--hot); border-color: var(--hot); color: var(--paper); font-weight: 600; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
figure { margin: 0; min-width: 0; max-height: 52vh; overflow: auto; }
svg { display: block; width: 100%; max-width: 560px; margin: 0 auto; height: auto; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
.box { fill: var(--card); stroke: var(--line); } .box:not(.node) { fill: var(--pod); }
svg .name { font-weight: 600; font-size: 13px; } svg .note { fill: var(--soft); font-size: 11px; }
.chip rect { fill: var(--card); stroke: var(--line); } svg .chip text { font: 11px ui-monospace, monospace; }
.chip.process rect { stroke-width: 2; } .chip.rules rect { stroke-dasharray: 3 2; }
.chip.passed rect { stroke: var(--done); stroke-width: 2; }
.chip.active rect { fill: var(--hot-soft); stroke: var(--hot); stroke-width: 2; }
.leg { fill: none; stroke: none; stroke-width: 2.5; stroke-linecap: round; }
.leg.passed { stroke: var(--done); opacity: .55; } .leg.active { stroke: var(--hot); stroke-width: 3.5; }
.dot { fill: var(--hot); stroke: var(--paper); stroke-width: 2; }
.chip:not([data-hops="  "]) { cursor: pointer; }
article { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px;
  margin: 0 0 12px; }
article[hidden] { display: none; }
.number { display: inline-block; min-width: 1.7em; text-align: center; border-radius: 1em; background: var(--hot);
  color: var(--paper); }
article ul { list-style: none; margin: 0; padding: 0; }
article li { padding: 6px 0; border-top: 1px solid var(--line); }
article li:first-child { border-top: 0; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0 10px; margin: 2px 0 0;
  font-size: .875rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
pre { font: .75rem/1.5 ui-monospace, monospace; margin: 6px 0 0; padding: 8px; max-height: 15em; overflow: auto;
  background: var(--pod); border-radius: 8px; }
code { font: .8rem ui-monospace, monospace; }
footer { color: var(--soft); font-size: .875rem; margin-top: 12px; }
@media (min-width: 860px) { main { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); }
  nav { grid-column: 1 / -1; }
  figure, #seen { position: sticky; top: 64px; align-self: start; max-height: calc(100vh - 76px); overflow: auto; }
  figure { max-height: calc(100vh - 190px); } }
"""
