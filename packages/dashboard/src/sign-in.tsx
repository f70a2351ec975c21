/** Signing in with an API key, or with the code of a terminal on the same machine. */
import { useEffect, useState } from 'preact/hooks'
import { ask, Problem } from './api.ts'
import type { Session } from './contract.ts'
import { Wrong } from './parts.tsx'

const signIn = (body: { readonly api_key: string } | { readonly code: string }): Promise<Session> =>
  ask<Session>('POST', '/v1/session', body)

export function SignIn(props: { readonly why: string | null; readonly signedIn: (session: Session) => void }) {
  const [key, setKey] = useState('')
  const [problem, setProblem] = useState<Problem | null>(null)
  const [isBusy, setBusy] = useState(false)
  useEffect(() => {
    document.title = 'Sign in · Tokenkeep'
    document.getElementById('api-key')?.focus()
  }, [])

  const submit = async (): Promise<void> => {
    setBusy(true)
    setProblem(null)
    try {
      props.signedIn(await signIn({ api_key: key.trim() }))
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      setProblem(error)
      setBusy(false)
      document.getElementById('api-key')?.focus()
    }
  }
  return (
    <main class="door">
      <form
        class="card stack"
        onSubmit={(event) => {
          event.preventDefault()
          void submit()
        }}
      >
        <Brand />
        <h1>Sign in</h1>
        {props.why === null ? null : <p role="status">{props.why}</p>}
        <label for="api-key">API key</label>
        <input
          id="api-key"
          type="password"
          autocomplete="current-password"
          required
          spellcheck={false}
          value={key}
          aria-describedby="api-key-hint"
          onInput={(event) => setKey(event.currentTarget.value)}
        />
        <p class="hint" id="api-key-hint">
          <code>tokenkeep key create operator --scope admin</code> makes one. You see and may do what the key may.
        </p>
        {problem === null ? null : <Wrong problem={problem} />}
        <button type="submit" class="act" disabled={isBusy}>
          Sign in
        </button>
      </form>
    </main>
  )
}

/** Hands in a code once, whatever comes of it: it stands in the address no longer. */
export function Enter(props: {
  readonly code: string
  readonly signedIn: (session: Session) => void
  readonly failed: (why: string) => void
}) {
  useEffect(() => {
    location.replace('#/')
    signIn({ code: props.code }).then(props.signedIn, (error: unknown) => {
      props.failed(error instanceof Problem ? error.message : 'That did not work.')
    })
  }, [])
  return (
    <main class="door">
      <p role="status">Signing in…</p>
    </main>
  )
}

export function Brand() {
  return (
    <p class="brand">
      <svg viewBox="0 0 32 32" aria-hidden="true">
        <rect width="32" height="32" rx="8" class="brand-ground" />
        <path d="M16 6.5a9.5 9.5 0 1 0 9.5 9.5" class="brand-ring" />
        <circle cx="16" cy="16" r="3.4" class="brand-core" />
        <circle cx="22.9" cy="9.3" r="2.3" class="brand-spark" />
      </svg>
      <span>Tokenkeep</span>
    </p>
  )
}
