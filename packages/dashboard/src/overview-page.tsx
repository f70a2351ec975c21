/** All of it at a glance: how many connections work, which need somebody, and what happened lately. */
import { DOUBT } from './connections-page.tsx'
import type { ConnectionPage, Overview, Session } from './contract.ts'
import { useLive } from './live.ts'
import { Mark, StatusSign } from './mark.tsx'
import { clockTime, When } from './moments.tsx'
import { Card, Labels, Nothing, Sheet, Waiting, Wrong } from './parts.tsx'
import { RefreshPlots } from './refresh-plots.tsx'
import { href } from './route.ts'
import { adviceOf, number, STATUS, type Tone } from './words.ts'

const ATTENTION_MOST = 8
/** Whoever looks at a wall sees what is wrong most first. */
const WORST_FIRST = ['needs_user', 'blocked', 'in_doubt', 'suspect'] as const

export function OverviewPage({ session }: { readonly session: Session }) {
  const overview = useLive<Overview>('/v1/overview')
  const { data } = overview
  return (
    <Sheet title="Overview" beside={data === null ? null : <AsOf at={data.as_of} />}>
      {overview.problem !== null ? <Wrong problem={overview.problem} again={overview.reload} /> : null}
      {data === null ? overview.problem === null ? <Waiting /> : null : <Counts of={data} session={session} />}
      {data === null || isEmpty(data) ? null : (
        <div class="columns">
          <Attention of={data} />
          <Expiring of={data} />
        </div>
      )}
      <RefreshPlots />
      {data === null || data.providers.length < 2 ? null : <ByProvider of={data} />}
    </Sheet>
  )
}

type Count = Overview['total']
const isEmpty = ({ total }: Overview): boolean => total.count === 0
/** `1,000+` where counting stopped. */
const counted = ({ count, at_least }: Count): string => `${number(count)}${at_least ? '+' : ''}`
const sum = (...counts: readonly Count[]): Count => ({
  count: counts.reduce((all, { count }) => all + count, 0),
  at_least: counts.some(({ at_least }) => at_least),
})

function AsOf({ at }: { readonly at: string }) {
  return (
    <span class="as-of dim">
      <span class="pulse" aria-hidden="true" /> as of <time dateTime={at}>{clockTime(Date.parse(at))}</time>
    </span>
  )
}

function Counts({ of, session }: { readonly of: Overview; readonly session: Session }) {
  if (isEmpty(of)) return <NoConnections session={session} />
  const { ready, presenting, in_doubt, suspect, blocked, needs_user } = of.by_status
  const tiles: readonly Tile[] = [
    { name: 'healthy', count: ready, tone: 'good', query: { status: 'ready' } },
    { name: 'refreshing', count: presenting, tone: 'busy', query: { status: 'presenting' } },
    {
      name: 'in doubt',
      count: sum(in_doubt, suspect),
      tone: 'doubt',
      query: { status: DOUBT },
    },
    {
      name: needs_user.count === 1 ? 'needs a person' : 'need a person',
      count: needs_user,
      tone: 'bad',
      query: { status: 'needs_user' },
    },
    { name: 'blocked', count: blocked, tone: 'bad', query: { status: 'blocked' } },
    { name: 'expiring soon', count: of.expiring, tone: 'warn', query: null },
  ]
  return (
    <section class="hero" aria-label="How many connections work">
      <p class="headline">{headline(of)}</p>
      <Proportions of={of} />
      <ul class="tiles">
        {tiles.map((tile) => (
          <TileItem key={tile.name} tile={tile} />
        ))}
      </ul>
    </section>
  )
}

interface Tile {
  readonly name: string
  readonly count: Count
  readonly tone: Tone
  readonly query: Readonly<Record<string, string>> | null
}

function TileItem({ tile: { name, count, tone, query } }: { readonly tile: Tile }) {
  const inside = (
    <>
      <span class="tile-number">{counted(count)}</span>
      <span class="tile-name">
        <Mark tone={tone} />
        {name}
      </span>
    </>
  )
  const looks = `tile ${count.count === 0 ? 'tile-none' : `tone-${tone}`}`
  return (
    <li>
      {query === null || count.count === 0 ? (
        <div class={looks}>{inside}</div>
      ) : (
        <a class={looks} href={href(['connections'], query)}>
          {inside}
        </a>
      )}
    </li>
  )
}

function headline({ total, by_status }: Overview): string {
  const { ready, presenting, needs_user, blocked, in_doubt, suspect } = by_status
  const works = sum(ready, presenting)
  const others = needs_user.count + blocked.count + in_doubt.count + suspect.count
  if (others === 0) return total.count === 1 ? 'The one connection works.' : `All ${counted(total)} connections work.`
  const wrong = [
    needs_user.count > 0 ? `${counted(needs_user)} ${needs_user.count === 1 ? 'needs' : 'need'} a person` : '',
    blocked.count > 0 ? `${counted(blocked)} ${blocked.count === 1 ? 'waits' : 'wait'} for you` : '',
    in_doubt.count + suspect.count > 0 ? `${counted(sum(in_doubt, suspect))} in doubt` : '',
  ].filter((part) => part !== '')
  return `${counted(works)} of ${counted(total)} connections work, ${wrong.join(', ')}.`
}

/** One bar for all of them. The tiles below say the same in numbers, so that nobody has to see it. */
function Proportions({ of: { by_status } }: { readonly of: Overview }) {
  const parts = Object.entries(by_status) as (readonly [keyof typeof by_status, Count])[]
  return (
    <div class="proportions" aria-hidden="true">
      {parts
        .filter(([, { count }]) => count > 0)
        .map(([status, { count }]) => (
          <span key={status} class={`part tone-${STATUS[status].tone}`} style={{ flexGrow: Math.max(count, 0) }} />
        ))}
    </div>
  )
}

function NoConnections({ session }: { readonly session: Session }) {
  const isLimited = Object.keys(session.api_key.labels).length > 0
  return (
    <Card>
      <Nothing
        title={isLimited ? 'There is no connection with the labels of your key.' : 'There is no connection yet.'}
      >
        {isLimited ? <Labels labels={session.api_key.labels} /> : null}
        <p>
          A connection is one sign-in that is kept alive. <code>tokenkeep connect</code> lets you sign in,{' '}
          <code>tokenkeep connection import</code> takes a refresh token that you have.
        </p>
      </Nothing>
    </Card>
  )
}

// ---- what needs somebody --------------------------------------------------------------------------------------------

function Attention({ of }: { readonly of: Overview }) {
  const worst = WORST_FIRST.find((status) => of.by_status[status].count > 0)
  const all = sum(...WORST_FIRST.map((status) => of.by_status[status]))
  return (
    <Card title="Needs attention" note={all.count === 0 ? undefined : counted(all)}>
      {worst === undefined ? (
        <Nothing title="Nobody has to do anything.">
          <Mark tone="good" />
        </Nothing>
      ) : (
        WORST_FIRST.filter((status) => of.by_status[status].count > 0).map((status) => (
          <AttentionOf key={status} status={status} count={of.by_status[status]} />
        ))
      )}
    </Card>
  )
}

const MORE: Readonly<Record<(typeof WORST_FIRST)[number], (isOne: boolean) => string>> = {
  needs_user: (isOne) => (isOne ? 'needs a person' : 'need a person'),
  blocked: () => 'blocked',
  in_doubt: () => 'in doubt',
  suspect: () => 'suspect',
}

function AttentionOf({ status, count }: { readonly status: (typeof WORST_FIRST)[number]; readonly count: Count }) {
  const { data } = useLive<ConnectionPage>(`/v1/connections?status=${status}&limit=${ATTENTION_MOST}`)
  if (data === null) return null
  const more = count.count - data.connections.length
  return (
    <>
      <ul class="attention">
        {data.connections.map((connection) => {
          const advice = adviceOf(connection)
          return (
            <li key={connection.uid}>
              <p class="attention-head">
                <a class="id" href={href(['connections', connection.id])}>
                  {connection.id}
                </a>
                <StatusSign of={connection} />
              </p>
              {advice === null ? null : (
                <p class="attention-text">
                  {advice.why} <strong>{advice.what}</strong>
                </p>
              )}
              {connection.next_action_at === null ? null : (
                <p class="dim small">
                  Next by itself: <When at={connection.next_action_at} />
                </p>
              )}
            </li>
          )
        })}
      </ul>
      {more > 0 ? (
        <p class="more">
          <a href={href(['connections'], { status })}>
            {number(more)}
            {count.at_least ? '+' : ''} more {MORE[status](more === 1)}
          </a>
        </p>
      ) : null}
    </>
  )
}

const BECAUSE = {
  session_end: 'its sign-in ends there, whatever we do',
  no_refresh_token: 'it has no refresh token',
} as const

function Expiring({ of: { expiring } }: { readonly of: Overview }) {
  return (
    <Card title="Will need a person" note={expiring.count === 0 ? undefined : counted(expiring)}>
      {expiring.next.length === 0 ? (
        <Nothing title="None that we know of." />
      ) : (
        <ul class="attention">
          {expiring.next.map((each) => (
            <li key={`${each.connection} ${each.expires_at}`}>
              <p class="attention-head">
                <a class="id" href={href(['connections', each.connection])}>
                  {each.connection}
                </a>
                <span class="sign tone-warn">
                  <Mark tone="warn" />
                  <When at={each.expires_at} />
                </span>
              </p>
              <p class="attention-text">Because {BECAUSE[each.because]}.</p>
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}

// ---- by provider ----------------------------------------------------------------------------------------------------

function ByProvider({ of: { providers } }: { readonly of: Overview }) {
  return (
    <Card title="By provider">
      <div class="table-frame" tabIndex={0} role="region" aria-label="Connections by provider">
        <table>
          <thead>
            <tr>
              <th scope="col">Provider</th>
              <th scope="col" class="figure">
                Connections
              </th>
              <th scope="col" class="figure">
                Need a person
              </th>
              <th scope="col" class="figure">
                Blocked
              </th>
              <th scope="col" class="figure">
                In doubt
              </th>
              <th scope="col" class="figure">
                Expiring
              </th>
            </tr>
          </thead>
          <tbody>
            {providers.map(({ provider, total, needs_user, blocked, in_doubt, suspect, expiring }) => (
              <tr key={provider}>
                <th scope="row">
                  <a href={href(['connections'], { provider })}>{provider}</a>
                </th>
                <td class="figure">{total === null ? <span class="dim">not counted</span> : counted(total)}</td>
                <Figure of={needs_user} />
                <Figure of={blocked} />
                <Figure of={sum(in_doubt, suspect)} />
                <Figure of={expiring} />
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  )
}

const Figure = ({ of }: { readonly of: Count }) => (
  <td class={`figure ${of.count === 0 ? 'dim' : 'strong'}`}>{counted(of)}</td>
)
