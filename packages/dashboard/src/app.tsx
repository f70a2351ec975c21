/** Who is signed in, the frame around every page, and which page it is. */
import { useCallback, useEffect, useState } from 'preact/hooks'
import { ask, get, onSignedOut, Problem } from './api.ts'
import { ConnectionPage } from './connection-page.tsx'
import { ConnectionsPage } from './connections-page.tsx'
import type { Session } from './contract.ts'
import { KeysPage } from './keys-page.tsx'
import { useLink } from './link.ts'
import { span, useNow } from './moments.tsx'
import { listenToServer } from './news.ts'
import { OverviewPage } from './overview-page.tsx'
import { Card, Nothing, Sheet, Waiting, Wrong } from './parts.tsx'
import { ProvidersPage } from './providers-page.tsx'
import { href, useRoute, type Route } from './route.ts'
import { may } from './session.ts'
import { Brand, Enter, SignIn } from './sign-in.tsx'

type Who =
  | { readonly kind: 'asking' }
  | { readonly kind: 'nobody'; readonly why: string | null }
  | { readonly kind: 'unknown'; readonly problem: Problem }
  | { readonly kind: 'somebody'; readonly session: Session }

export function App() {
  const route = useRoute()
  const [who, setWho] = useState<Who>({ kind: 'asking' })
  const signedIn = useCallback((session: Session) => setWho({ kind: 'somebody', session }), [])
  const [code] = useState(() => (route.path[0] === 'enter' ? (route.path[1] ?? '') : null))
  const [isEntering, setEntering] = useState(code !== null)

  const look = useCallback(async () => {
    try {
      signedIn(await get<Session>('/v1/session'))
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      setWho(error.code === 'unauthorized' ? { kind: 'nobody', why: null } : { kind: 'unknown', problem: error })
    }
  }, [signedIn])

  useEffect(() => {
    onSignedOut(() => setWho({ kind: 'nobody', why: 'Your session is over, or its key is. Sign in again.' }))
    if (code === null) void look()
  }, [look, code])

  if (isEntering && code !== null)
    return (
      <Enter
        code={code}
        signedIn={(session) => {
          setEntering(false)
          signedIn(session)
        }}
        failed={(why) => {
          setEntering(false)
          setWho({ kind: 'nobody', why })
        }}
      />
    )
  switch (who.kind) {
    case 'asking':
      return (
        <main class="door">
          <Waiting />
        </main>
      )
    case 'unknown':
      return (
        <main class="door">
          <h1 class="unseen">Tokenkeep</h1>
          <Wrong problem={who.problem} again={() => void look()} />
        </main>
      )
    case 'nobody':
      return <SignIn why={who.why} signedIn={signedIn} />
    case 'somebody':
      return (
        <Frame
          session={who.session}
          route={route}
          leave={() => setWho({ kind: 'nobody', why: 'You are signed out.' })}
        />
      )
  }
}

const PLACES = [
  { path: [], name: 'Overview', scopes: ['connections:read'] },
  { path: ['connections'], name: 'Connections', scopes: ['connections:read'] },
  { path: ['providers'], name: 'Providers', scopes: ['providers:write', 'connections:read', 'connections:write'] },
  { path: ['keys'], name: 'API keys', scopes: ['keys:write'] },
] as const

function Frame(props: { readonly session: Session; readonly route: Route; readonly leave: () => void }) {
  const { session, route } = props
  const sees = may(session, ['connections:read'])
  useEffect(() => (sees ? listenToServer() : undefined), [sees])
  const leave = async (): Promise<void> => {
    await ask('DELETE', '/v1/session').catch(() => undefined)
    props.leave()
  }
  return (
    <>
      <a class="skip" href="#title" onClick={(event) => focusTitle(event)}>
        To the content
      </a>
      <div class="frame">
        <nav aria-label="Pages">
          <Brand />
          <ul>
            {PLACES.filter(({ scopes }) => may(session, scopes)).map(({ path, name }) => (
              <li key={name}>
                <a href={href(path)} aria-current={(route.path[0] ?? '') === (path[0] ?? '') ? 'page' : undefined}>
                  {name}
                </a>
              </li>
            ))}
          </ul>
          <div class="who">
            <span class="who-name" title={`${session.api_key.id}: ${session.api_key.scopes.join(', ')}`}>
              {session.api_key.name}
            </span>
            <button type="button" class="quiet" onClick={() => void leave()}>
              Sign out
            </button>
          </div>
        </nav>
        <main>
          <LinkBanner />
          <Page route={route} session={session} />
        </main>
      </div>
    </>
  )
}

function focusTitle(event: Event): void {
  // The fragment is where we are, so a jump must not change it.
  event.preventDefault()
  document.getElementById('title')?.focus()
}

/** That nothing is heard any more, and how old all of it is: numbers that only look alive are worse than none. */
function LinkBanner() {
  const { heardAt, isLost } = useLink()
  useNow()
  return (
    <div class="link" role="status">
      {isLost ? (
        <p class="lost">
          <strong>The server does not answer.</strong>{' '}
          {heardAt === null ? 'Nothing was heard yet.' : `What you see is ${span(Date.now() - heardAt)} old.`} It is
          asked again and again.
        </p>
      ) : null}
    </div>
  )
}

function Page({ route, session }: { readonly route: Route; readonly session: Session }) {
  const [first, second, third] = route.path
  const place = PLACES.find(({ path }) => (path[0] ?? '') === (first ?? ''))
  if (place !== undefined && !may(session, place.scopes) && first !== undefined) return <NotForThisKey />
  if (first === undefined)
    return may(session, PLACES[0].scopes) ? <OverviewPage session={session} /> : <NotForThisKey />
  if (third === undefined) {
    if (first === 'connections')
      return second === undefined ? (
        <ConnectionsPage query={route.query} />
      ) : (
        <ConnectionPage key={second} id={second} session={session} />
      )
    if (first === 'providers' && second === undefined) return <ProvidersPage />
    if (first === 'keys' && second === undefined) return <KeysPage session={session} />
  }
  return (
    <Sheet title="Nothing is here">
      <Card>
        <Nothing title="This address leads nowhere.">
          <p>
            <a href={href([])}>To the overview</a>
          </p>
        </Nothing>
      </Card>
    </Sheet>
  )
}

function NotForThisKey() {
  return (
    <Sheet title="Not for this key">
      <Card>
        <Nothing title="The key that you signed in with does not show this.">
          <p>It lacks the scope. Sign out, and in again with another key.</p>
        </Nothing>
      </Card>
    </Sheet>
  )
}
