/** One connection: how it is, why, what to do, its timeline, and its history. */
import { useState } from 'preact/hooks'
import { may } from './session.ts'
import { ConnectionActions } from './connection-actions.tsx'
import type { Connection, History, Presentation, Session } from './contract.ts'
import { useLive } from './live.ts'
import { Mark, StatusSign } from './mark.tsx'
import { exactly, span, useNow, When } from './moments.tsx'
import { Card, Facts, Labels, Nothing, Sheet, Waiting, Wrong } from './parts.tsx'
import { href } from './route.ts'
import { Timeline } from './timeline.tsx'
import { comingOf } from './timeline-model.ts'
import { adviceOf, outcomeWords, STATUS, whyWords } from './words.ts'

const EVERY_MS = 3_000
const HISTORY = 100
const ROWS = 12

export function ConnectionPage({ id, session }: { readonly id: string; readonly session: Session }) {
  const path = `/v1/connections/${encodeURIComponent(id)}`
  const connection = useLive<Connection>(path, EVERY_MS)
  const history = useLive<History>(`${path}/history?limit=${HISTORY}`, EVERY_MS)
  const { data, problem } = connection
  const above = (
    <p class="crumb">
      <a href={href(['connections'])}>Connections</a>
    </p>
  )
  if (data === null)
    return (
      <Sheet title={id} above={above}>
        {problem === null ? <Waiting /> : <Wrong problem={problem} again={connection.reload} />}
      </Sheet>
    )
  const reload = (): void => {
    connection.reload()
    history.reload()
  }
  return (
    <Sheet title={id} above={above} beside={<StatusSign of={data} />}>
      {problem === null ? null : <Wrong problem={problem} again={connection.reload} />}
      <State of={data} />
      {may(session, ['connections:write']) ? <ConnectionActions of={data} reload={reload} /> : null}
      <Card title="Timeline">
        {history.data === null ? (
          history.problem === null ? (
            <Waiting />
          ) : (
            <Wrong problem={history.problem} again={history.reload} />
          )
        ) : (
          <Timeline connection={data} history={history.data.presentations} />
        )}
      </Card>
      <div class="columns columns-uneven">
        <Card title="Details">
          <Details of={data} />
        </Card>
        <Card title="History" class="flush" note="newest first">
          {history.data === null ? null : <HistoryTable of={history.data.presentations} />}
        </Card>
      </div>
    </Sheet>
  )
}

function State({ of }: { readonly of: Connection }) {
  const advice = adviceOf(of)
  const { tone, means } = STATUS[of.status]
  const now = useNow()
  const [next] = comingOf(of, now)
  return (
    <section class={`state tone-${tone}`} aria-label="State">
      <Mark tone={tone} />
      <div>
        <p class="state-says">{advice?.why ?? means}</p>
        {advice === null ? null : <p class="state-do">{advice.what}</p>}
        <p class="state-next dim">
          {next === undefined ? (
            'Nothing happens by itself.'
          ) : (
            <>
              Next: {next.says} <When at={new Date(next.at).toISOString()} />.
            </>
          )}
        </p>
      </div>
    </section>
  )
}

function Details({ of }: { readonly of: Connection }) {
  return (
    <>
      <Facts
        of={[
          ['Provider', <a href={href(['providers'])}>{of.provider}</a>],
          ['Client', of.client],
          ['Grant', of.grant_type],
          ['Whose', of.subject ?? <span class="dim">not told</span>],
          ['Scope', of.scope ?? <span class="dim">as asked for</span>],
          [
            'Access token',
            <>
              <When at={of.access_token_expires_at} absent="none living" />
              {of.lifetime_assumed ? <span class="dim"> (assumed: the provider did not say)</span> : null}
            </>,
          ],
          ['Refresh token', refreshToken(of)],
          ['Rotations', of.generation],
          ['Last refresh', <When at={of.last_refresh_at} absent="never" />],
          ['Kept since', <When at={of.created_at} />],
        ]}
      />
      {Object.keys(of.labels).length === 0 ? null : (
        <>
          <h3>Labels</h3>
          <Labels labels={of.labels} />
        </>
      )}
    </>
  )
}

function refreshToken({ has_refresh_token, refresh_token_expires_at, grant_type }: Connection) {
  if (!has_refresh_token) return <span class="dim">{grant_type === 'refresh_token' ? 'none' : 'not needed'}</span>
  return refresh_token_expires_at === null ? (
    'no known end'
  ) : (
    <>
      ends <When at={refresh_token_expires_at} />
    </>
  )
}

function HistoryTable({ of }: { readonly of: readonly Presentation[] }) {
  const [isWhole, setWhole] = useState(false)
  if (of.length === 0) return <Nothing title="Nothing was presented yet." />
  const shown = isWhole ? of : of.slice(0, ROWS)
  return (
    <>
      <div class="table-frame">
        <table class="rows">
          <thead>
            <tr>
              <th scope="col">When</th>
              <th scope="col">What came of it</th>
              <th scope="col">Why</th>
              <th scope="col">Took</th>
              <th scope="col">Where</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((each) => (
              <tr key={each.attempt}>
                <th scope="row" title={exactly(Date.parse(each.acquired_at))}>
                  <When at={each.acquired_at} />
                </th>
                <td data-name="What came of it">
                  <OutcomeSign of={each} />
                </td>
                <td data-name="Why">{whyWords(each)}</td>
                <td data-name="Took" class="nowrap">
                  {took(each)}
                </td>
                <td data-name="Where" title={each.process ?? undefined} class="dim nowrap">
                  {each.host}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {of.length > shown.length ? (
        <p class="more">
          <button type="button" class="quiet" onClick={() => setWhole(true)}>
            Show all {of.length}
          </button>
        </p>
      ) : null}
    </>
  )
}

function OutcomeSign({ of }: { readonly of: Presentation }) {
  const { name, tone } = outcomeWords(of.outcome)
  return (
    <span class={`sign tone-${tone}`}>
      <Mark tone={tone} />
      <span>{name}</span>
    </span>
  )
}

function took({ acquired_at, ended_at }: Presentation): string {
  if (ended_at === null) return 'not over'
  const ms = Date.parse(ended_at) - Date.parse(acquired_at)
  return ms < 1000 ? `${ms} ms` : ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : span(ms)
}
