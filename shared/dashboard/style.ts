/** The one style sheet: light and dark as the system has it, one column on a telephone. */
export const style = `:root {
  color-scheme: light dark;
  --paper: #fdfdfc; --card: #fff; --ink: #1c2126; --soft: #57606a; --line: #d8dcdf; --link: #0b57a4;
  --good: #14663a; --good-back: #e2f3e8; --busy: #7a4b00; --busy-back: #fdf0d3; --bad: #9b1c1c; --bad-back: #fde6e4;
  --still: #45505b; --still-back: #e9ecef; --code: #f2f4f5;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --card: #1c2024; --ink: #e8eaec; --soft: #a7b0b8; --line: #353c42; --link: #8cc2ff;
    --good: #8fe0af; --good-back: #14331f; --busy: #f7cf7d; --busy-back: #382a0c; --bad: #ffb1aa; --bad-back: #431816;
    --still: #c3cad1; --still-back: #2b3238; --code: #111417;
  }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
a { color: var(--link) }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 3px }
.told { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
.skip { position: absolute; left: -100rem }
.skip:focus { left: 1rem; top: .5rem; background: var(--card); padding: .3rem .6rem }
header, main, footer { max-width: 66rem; margin: 0 auto; padding: 0 1rem }
header { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; justify-content: space-between;
  padding-block: .8rem; color: var(--soft); font-size: .9rem }
header form { display: flex; gap: .8rem; align-items: center; margin: 0 }
button { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: .4rem;
  padding: .25rem .8rem; cursor: pointer }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0; overflow-wrap: anywhere }
h2 { font-size: 1.05rem; margin: 0 0 .7rem }
.title { display: flex; flex-wrap: wrap; gap: .6rem 1rem; align-items: center }
.lead { margin: .4rem 0 1.2rem; color: var(--soft); overflow-wrap: anywhere }
.word { font-weight: 600; font-size: .95rem; border-radius: 1rem; padding: .1rem .8rem; white-space: nowrap }
.good { color: var(--good); background: var(--good-back) } .busy { color: var(--busy); background: var(--busy-back) }
.bad { color: var(--bad); background: var(--bad-back) } .still { color: var(--still); background: var(--still-back) }
.note { border-left: .25rem solid var(--busy); background: var(--busy-back); color: var(--busy); padding: .5rem .9rem;
  border-radius: .3rem; margin: 0 0 1rem }
.cards { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1rem; align-items: start }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.1rem; min-width: 0 }
section.wide { grid-column: 1 / -1 }
dl { display: grid; grid-template-columns: minmax(6.5rem, max-content) minmax(0, 1fr); gap: .35rem 1rem; margin: 0 }
dt { color: var(--soft) }
dd { margin: 0; overflow-wrap: anywhere }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: .92rem }
th, td { text-align: left; vertical-align: top; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line) }
tr:last-child td, tr:last-child th[scope=row] { border-bottom: 0 }
thead th { color: var(--soft); font-weight: 500; white-space: nowrap }
tbody th { font-weight: 500; min-width: 7rem }
td code, th code { white-space: nowrap }
td.text { overflow-wrap: anywhere; min-width: 12rem }
time { white-space: nowrap }
ol.line { list-style: none; margin: 0; padding: 0 0 0 1.1rem; border-left: 2px solid var(--line) }
ol.line li { position: relative; padding: 0 0 .8rem; overflow-wrap: anywhere }
ol.line li:last-child { padding-bottom: 0 }
ol.line li::before { content: ''; position: absolute; left: -1.52rem; top: .45rem; width: .7rem; height: .7rem;
  border-radius: 50%; background: var(--still); border: 2px solid var(--card) }
ol.line li.met::before { background: var(--good) } ol.line li.unmet::before { background: var(--bad) }
ol.line time, .small { color: var(--soft); font-size: .87rem }
code, pre { font: .88rem/1.5 ui-monospace, monospace }
pre { background: var(--code); border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .8rem; margin: .4rem 0 0;
  overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere }
details + details { margin-top: .4rem }
summary { cursor: pointer }
progress { width: 8rem; accent-color: var(--busy); vertical-align: middle }
ul { margin: 0 0 .7rem; padding-left: 1.2rem }
dl + p { margin-top: .7rem }
table + .small, .scroll + h3 { margin: 1rem 0 .6rem }
p { margin: 0 0 .7rem } p:last-child { margin-bottom: 0 }
main footer { color: var(--soft); font-size: .87rem; padding: 1.2rem 0 2rem }
.alone { max-width: 38rem; padding-top: 12vh } .alone h1 { margin-bottom: .8rem }
@media (max-width: 46rem) {
  .cards { grid-template-columns: minmax(0, 1fr) }
  table { min-width: 34rem }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0 }
  dd { margin-bottom: .5rem }
}
@media (prefers-reduced-motion: no-preference) { .busy.word { animation: breathe 2s ease-in-out infinite } }
@keyframes breathe { 50% { filter: brightness(.93) } }
`
