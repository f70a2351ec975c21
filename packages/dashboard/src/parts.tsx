/** What every page is put together from. */
import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { Problem } from './api.ts'
import { Mark } from './mark.tsx'

/** A page of its own title, whose heading gets the focus when somebody comes to it, so that a screen reader begins there. */
export function Sheet(props: {
  readonly title: string
  readonly above?: ComponentChildren
  readonly beside?: ComponentChildren
  readonly children: ComponentChildren
}) {
  useEffect(() => {
    document.title = `${props.title} · Tokenkeep`
    document.getElementById('title')?.focus({ preventScroll: true })
    scrollTo(0, 0)
  }, [props.title])
  return (
    <div class="sheet">
      {props.above}
      <header class="sheet-head">
        <h1 id="title" tabIndex={-1}>
          {props.title}
        </h1>
        <div class="beside">{props.beside}</div>
      </header>
      {props.children}
    </div>
  )
}

export function Card(props: {
  readonly title?: string
  readonly note?: ComponentChildren
  readonly class?: string
  readonly children: ComponentChildren
}) {
  return (
    <section class={`card ${props.class ?? ''}`}>
      {props.title === undefined ? null : (
        <header class="card-head">
          <h2>{props.title}</h2>
          {props.note === undefined ? null : <div class="note">{props.note}</div>}
        </header>
      )}
      {props.children}
    </section>
  )
}

export function Wrong({ problem, again }: { readonly problem: Problem; readonly again?: () => void }) {
  return (
    <div class="wrong" role="alert">
      <Mark tone="bad" />
      <p>{problem.message}</p>
      {again === undefined ? null : (
        <button type="button" class="quiet" onClick={again}>
          Try again
        </button>
      )}
    </div>
  )
}

export function Waiting() {
  return (
    <p class="waiting dim" role="status">
      Asking the server…
    </p>
  )
}

export function Nothing(props: { readonly title: string; readonly children?: ComponentChildren }) {
  return (
    <div class="nothing">
      <p class="nothing-title">{props.title}</p>
      {props.children}
    </div>
  )
}

export function Labels({ labels }: { readonly labels: Readonly<Record<string, string>> }) {
  const entries = Object.entries(labels)
  if (entries.length === 0) return null
  return (
    <ul class="labels">
      {entries.map(([name, value]) => (
        <li key={name}>
          <span class="label-name">{name}</span>
          <span class="label-value">{value}</span>
        </li>
      ))}
    </ul>
  )
}

export function Facts({ of }: { readonly of: readonly (readonly [name: string, value: ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

/** Copies a text, and says so. */
export function CopyButton({ text, what }: { readonly text: string; readonly what: string }) {
  const [said, say] = useState('')
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text)
      say('Copied')
    } catch {
      // Without https browsers keep scripts away from the clipboard.
      say('Select it and copy it')
    }
  }
  return (
    <span class="copy">
      <button type="button" class="quiet" onClick={() => void copy()} aria-label={`Copy ${what}`}>
        Copy
      </button>
      <span role="status">{said}</span>
    </span>
  )
}
