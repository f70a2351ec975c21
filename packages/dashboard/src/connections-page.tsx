/** The list of connections: what is looked for stands in the address, so that it can be sent to somebody. */
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Connection, ConnectionPage, Providers, Status } from './contract.ts'
import { useLive } from './live.ts'
import { StatusSign } from './mark.tsx'
import { When } from './moments.tsx'
import { Card, Labels, Nothing, Sheet, Waiting, Wrong } from './parts.tsx'
import { href } from './route.ts'
import { STATUS } from './words.ts'

const PAGE = 50
const SHOWN: readonly Exclude<Status, 'erased'>[] = [
  'ready',
  'presenting',
  'in_doubt',
  'suspect',
  'blocked',
  'needs_user',
  'deleting',
]
/** What the overview counts as one. */
export const DOUBT = 'in_doubt,suspect'
const TYPED_MS = 250

export function ConnectionsPage({ query }: { readonly query: URLSearchParams }) {
  const asked = readAsked(query)
  const live = useLive<ConnectionPage>(`/v1/connections?${searchOf(asked)}`)
  const { data, problem } = live
  const isFiltered = asked.status !== '' || asked.provider !== '' || asked.label !== '' || asked.search !== ''
  return (
    <Sheet title="Connections">
      <Filters asked={asked} />
      {problem === null ? null : <Wrong problem={problem} again={live.reload} />}
      <Card class="flush">
        {data === null ? (
          problem === null ? (
            <Waiting />
          ) : null
        ) : data.connections.length === 0 ? (
          <None isFiltered={isFiltered} onward={data.next_cursor} asked={asked} />
        ) : (
          <Rows of={data.connections} />
        )}
      </Card>
      <Pager asked={asked} next={data?.next_cursor ?? null} />
    </Sheet>
  )
}

/** A million are looked through in parts: one in which nothing is may have others behind it. */
function None(props: { readonly isFiltered: boolean; readonly onward: string | null; readonly asked: Asked }) {
  const { isFiltered, onward, asked } = props
  if (onward !== null)
    return (
      <Nothing title="None so far.">
        <a href={href(['connections'], { ...asked, cursor: onward })}>Search on</a>
      </Nothing>
    )
  return (
    <Nothing title={isFiltered ? 'No connection is like that.' : 'There is no connection yet.'}>
      {isFiltered ? <a href={href(['connections'])}>Show all</a> : null}
    </Nothing>
  )
}

// ---- what is asked --------------------------------------------------------------------------------------------------

interface Asked {
  readonly search: string
  readonly status: string
  readonly provider: string
  readonly label: string
  readonly cursor: string
}

const readAsked = (query: URLSearchParams): Asked => ({
  search: query.get('search') ?? '',
  status: query.get('status') ?? '',
  provider: query.get('provider') ?? '',
  label: query.get('label') ?? '',
  cursor: query.get('cursor') ?? '',
})

function searchOf({ status, ...asked }: Asked): string {
  const search = new URLSearchParams(Object.entries(asked).filter(([, value]) => value !== ''))
  for (const one of status.split(',')) if (one !== '') search.append('status', one)
  search.set('limit', String(PAGE))
  return search.toString()
}

/** Other filters begin at the first page. */
function go(asked: Asked, change: Partial<Asked>): void {
  location.hash = href(['connections'], { ...asked, cursor: '', ...change })
}

function Filters({ asked }: { readonly asked: Asked }) {
  const { data: providers } = useLive<Providers>('/v1/providers', 0)
  return (
    <form class="filters" role="search" aria-label="Connections" onSubmit={(event) => event.preventDefault()}>
      <Typed
        id="search"
        name="Search"
        hint="how an id, a subject or a label begins"
        value={asked.search}
        say={(search) => go(asked, { search })}
      />
      <div class="field">
        <label for="status">Status</label>
        <select id="status" value={asked.status} onChange={(event) => go(asked, { status: event.currentTarget.value })}>
          <option value="">any</option>
          <option value={DOUBT}>in doubt or suspect</option>
          {SHOWN.map((status) => (
            <option key={status} value={status}>
              {STATUS[status].name}
            </option>
          ))}
        </select>
      </div>
      <div class="field">
        <label for="provider">Provider</label>
        <select
          id="provider"
          value={asked.provider}
          onChange={(event) => go(asked, { provider: event.currentTarget.value })}
        >
          <option value="">any</option>
          {(providers?.providers ?? []).map(({ id }) => (
            <option key={id} value={id}>
              {id}
            </option>
          ))}
        </select>
      </div>
      <Typed id="label" name="Label" hint="name=value" value={asked.label} say={(label) => go(asked, { label })} />
    </form>
  )
}

/** What is typed goes into the address when the typing pauses. */
function Typed(props: {
  readonly id: string
  readonly name: string
  readonly hint: string
  readonly value: string
  readonly say: (value: string) => void
}) {
  const [typed, setTyped] = useState(props.value)
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  useEffect(() => setTyped(props.value), [props.value])
  useEffect(() => () => clearTimeout(timer.current), [])
  return (
    <div class="field">
      <label for={props.id}>{props.name}</label>
      <input
        id={props.id}
        type="search"
        placeholder={props.hint}
        autocomplete="off"
        spellcheck={false}
        value={typed}
        onInput={(event) => {
          const { value } = event.currentTarget
          setTyped(value)
          clearTimeout(timer.current)
          timer.current = setTimeout(() => props.say(value.trim()), TYPED_MS)
        }}
      />
    </div>
  )
}

// ---- what comes -----------------------------------------------------------------------------------------------------

function Rows({ of }: { readonly of: readonly Connection[] }) {
  const body = useRef<HTMLTableSectionElement>(null)
  return (
    <div class="table-frame">
      <table class="rows">
        <thead>
          <tr>
            <th scope="col">Connection</th>
            <th scope="col">State</th>
            <th scope="col">Provider</th>
            <th scope="col">Access token ends</th>
            <th scope="col">Next by itself</th>
          </tr>
        </thead>
        <tbody ref={body} onKeyDown={(event) => step(event, body.current)}>
          {of.map((connection) => (
            <tr key={connection.uid}>
              <th scope="row">
                <a class="id" href={href(['connections', connection.id])}>
                  {connection.id}
                </a>
                <Labels labels={connection.labels} />
              </th>
              <td data-name="State">
                <StatusSign of={connection} />
              </td>
              <td data-name="Provider">{connection.provider}</td>
              <td data-name="Access token ends">
                <When at={connection.access_token_expires_at} absent="none living" />
              </td>
              <td data-name="Next by itself">
                <When at={connection.next_action_at} absent="nothing" />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** Up and down go from one connection to the next, as in every list. */
function step(event: KeyboardEvent, body: HTMLElement | null): void {
  const by = event.key === 'ArrowDown' || event.key === 'j' ? 1 : event.key === 'ArrowUp' || event.key === 'k' ? -1 : 0
  if (by === 0 || body === null) return
  const links = [...body.querySelectorAll<HTMLElement>('a.id')]
  const at = links.findIndex((link) => link === document.activeElement)
  const next = links[at + by]
  if (next === undefined) return
  event.preventDefault()
  next.focus()
}

function Pager({ asked, next }: { readonly asked: Asked; readonly next: string | null }) {
  if (asked.cursor === '' && next === null) return null
  return (
    <nav class="pager" aria-label="Parts of the list">
      {asked.cursor === '' ? null : <a href={href(['connections'], { ...asked, cursor: '' })}>First page</a>}
      {next === null ? (
        <span class="dim">That was the last page</span>
      ) : (
        <a href={href(['connections'], { ...asked, cursor: next })}>Next page</a>
      )}
    </nav>
  )
}
