/** The plain pages that a person sees on the way to a connection: no script, nothing from elsewhere, nothing kept. */
import { createHash } from 'node:crypto'

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; --line: #8884; --faint: #7779; --act: #1f5fbf }
body { margin: 12vh auto; padding: 0 1.5rem; max-width: 34rem }
main { border: 1px solid var(--line); border-radius: .75rem; padding: 2rem }
h1 { font-size: 1.35rem; line-height: 1.3; margin: 0 0 1rem }
p { margin: .75rem 0 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1rem; margin: 1.25rem 0 }
dt { opacity: .7 }
dd { margin: 0; overflow-wrap: anywhere; font-weight: 600 }
button { font: inherit; font-weight: 600; color: #fff; background: var(--act); border: 0; border-radius: .5rem; padding: .7rem 1.4rem; cursor: pointer }
button:focus-visible, a:focus-visible { outline: 3px solid var(--act); outline-offset: 3px }
footer { margin: 1rem .25rem; opacity: .6; font-size: .85rem }
@media (prefers-color-scheme: dark) { :root { --act: #3d7fe0 } }
@media (max-width: 30rem) { body { margin: 1.5rem auto } main { padding: 1.25rem } }
`

/**
 * Of such a page. No `form-action`: browsers hold it against every redirect that follows a form, and a person's own
 * identity provider can be anywhere. The form's address is written by us, and nothing on the page is not escaped.
 */
export const PAGE_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; frame-ancestors 'none'`,
  // With `no-referrer` browsers send our own form with `Origin: null`. To others nothing is told all the same.
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
} as const

export interface Page {
  readonly title: string
  /** Sentences, each a paragraph. */
  readonly text: readonly string[]
  /** What is connected, by name. */
  readonly facts?: readonly (readonly [name: string, value: string])[]
  /** A button that sends a form to the page's own address. */
  readonly button?: string
  /** Where else a person may go. */
  readonly link?: { readonly href: string; readonly text: string }
}

export function pageHtml({ title, text, facts = [], button, link }: Page): string {
  const parts = [
    `<h1>${escaped(title)}</h1>`,
    ...text.map((sentence) => `<p>${escaped(sentence)}</p>`),
    facts.length === 0
      ? ''
      : `<dl>${facts.map(([name, value]) => `<dt>${escaped(name)}</dt><dd>${escaped(value)}</dd>`).join('')}</dl>`,
    button === undefined ? '' : `<form method="post"><button>${escaped(button)}</button></form>`,
    link === undefined ? '' : `<p><a href="${escaped(link.href)}" rel="noreferrer">${escaped(link.text)}</a></p>`,
  ]
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${parts.filter((part) => part !== '').join('\n')}
</main>
<footer>Tokenkeep</footer>
</body>
</html>
`
}

const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
