/** How the page looks: a column of contents beside the text, on a phone above it; light or dark as the reader's system is. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #22262b; --soft: #5c6670; --line: #d9dee3; --paper: #fff; --shade: #f4f6f8; --link: #0b5cad; --get: #1a6b3c; --post: #0b5cad; --delete: #a8322a }
@media (prefers-color-scheme: dark) {
  :root { --ink: #dfe4e9; --soft: #9aa5b0; --line: #343b43; --paper: #15181c; --shade: #1d2126; --link: #79b8f5; --get: #6fcf97; --post: #79b8f5; --delete: #f0958e }
}
* { box-sizing: border-box }
html { scroll-padding-top: 1rem }
body { margin: 0 auto; max-width: 84rem; display: grid; grid-template-columns: 19rem minmax(0, 1fr); color: var(--ink); background: var(--paper); font: 1rem/1.55 system-ui, sans-serif }
a { color: var(--link); text-decoration: none }
a:hover, a:focus-visible { text-decoration: underline }
nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1.25rem 1rem; border-right: 1px solid var(--line); font-size: .875rem; line-height: 1.4 }
nav p { margin: 0 0 .75rem; font-weight: 600 }
nav ul { list-style: none; margin: 0 0 1rem; padding: 0 }
nav li { padding: .15rem 0 }
nav .level-2 { margin-top: .6rem; font-weight: 600 }
nav .level-3 { padding-left: .25rem }
nav .level-3 a { color: var(--ink) }
nav .method { display: inline-block; min-width: 3.4rem; font-size: .6875rem }
small { color: var(--soft); font-weight: 400 }
main { padding: 1.25rem 2rem 6rem; min-width: 0 }
h1, h2, h3, h4 { line-height: 1.25; margin: 2rem 0 .75rem }
h1 { margin-top: 0; font-size: 1.9rem }
h2 { margin-top: 3.5rem; padding-bottom: .4rem; border-bottom: 2px solid var(--line); font-size: 1.5rem }
h3 { margin-top: 3rem; font-size: 1.15rem }
h4 { margin: 1.6rem 0 .5rem; font-size: .95rem }
h1 a, h2 a, h3 a { color: inherit }
p, ul { margin: .6rem 0; max-width: 46rem }
main ul { padding-left: 1.25rem }
.method { font-weight: 700; font-size: .8em; letter-spacing: .03em }
.get { color: var(--get) } .post { color: var(--post) } .delete { color: var(--delete) }
.path, code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }
code { font-size: .875em; background: var(--shade); border-radius: 3px; padding: .1em .3em; overflow-wrap: break-word }
pre { margin: 1rem 0; padding: .8rem 1rem; overflow-x: auto; background: var(--shade); border: 1px solid var(--line); border-radius: 6px; font-size: .8125rem; line-height: 1.6 }
pre code { padding: 0; background: none; font-size: inherit }
pre i { color: var(--soft); font-style: normal }
table { width: 100%; border-collapse: collapse; font-size: .9rem; margin: .6rem 0 1.2rem }
th { color: var(--soft); font-weight: 500; font-size: .8rem }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line) }
th:first-child:nth-last-child(3) { width: 24% }
th:nth-child(2):nth-last-child(2) { width: 26% }
@media (max-width: 52rem) {
  body { display: block }
  nav { position: static; height: auto; border-right: 0; border-bottom: 1px solid var(--line) }
  nav ul { margin-bottom: .75rem }
  nav .level-2 { display: inline-block; margin: 0 1rem 0 0 }
  nav .level-3 { display: none }
  main { padding: 1rem 1rem 4rem }
  thead { display: none }
  table, tbody, tr, td { display: block }
  tr { padding: .5rem 0; border-bottom: 1px solid var(--line) }
  td { border: 0; padding: 0 }
  td:empty { display: none }
  td:first-child { font-weight: 600 }
}
@media print {
  body { display: block } nav { display: none }
}
`
