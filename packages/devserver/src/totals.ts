import type { Endpoint } from './fault.ts'
import type { Seen } from './answer.ts'
import type { State } from './state.ts'

/** How often something was asked for, and with which status (`dropped` = no answer) it ended. */
export interface EndpointTotals {
  readonly requests: number
  readonly byStatus: Readonly<Record<string, number>>
}

export interface Totals {
  readonly token: EndpointTotals & {
    readonly byRealm: Readonly<Record<string, number>>
    /** Per `grant_type`, per status. */
    readonly byGrantType: Readonly<Record<string, Readonly<Record<string, number>>>>
  }
  readonly revoke: EndpointTotals
  readonly introspect: EndpointTotals
  /** Pushed authorization requests. */
  readonly par: EndpointTotals
  /** Requests for a device code; a device's questions count at `token`. */
  readonly device: EndpointTotals
  /** Authorization answers that left for a client, with a code or with an error. */
  readonly authorization: EndpointTotals
  readonly demoApi: EndpointTotals
}

export interface Counted {
  readonly endpoint: Endpoint
  readonly realm: string | null
  readonly grantType: string | null
  readonly seen: Seen
}

const SAVE_EVERY_MS = 1000

/** Counts requests. Kept in memory and saved once a second: an API call must not cost a disk flush. */
export class Tally {
  readonly #state: State
  readonly #counts: Map<string, Counted & { count: number }>
  readonly #timer: NodeJS.Timeout
  #unsaved = false

  constructor(state: State) {
    this.#state = state
    this.#counts = new Map(
      state.rows('SELECT * FROM tally').map((row) => {
        const name = String(row['name'])
        return [name, { ...(JSON.parse(name) as Counted), count: Number(row['count']) }]
      }),
    )
    this.#timer = setInterval(() => this.save(), SAVE_EVERY_MS).unref()
  }

  count({ endpoint, realm, grantType, seen }: Counted): void {
    const counted = { endpoint, realm, grantType, seen }
    const name = JSON.stringify(counted)
    this.#counts.set(name, { ...counted, count: (this.#counts.get(name)?.count ?? 0) + 1 })
    this.#unsaved = true
  }

  reset(): void {
    this.#counts.clear()
    this.#state.write('DELETE FROM tally')
    this.#unsaved = false
  }

  save(): void {
    if (!this.#unsaved) return
    this.#unsaved = false
    const all = JSON.stringify([...this.#counts].map(([name, { count }]) => ({ name, count })))
    this.#state.write(
      `INSERT INTO tally (name, count)
       SELECT json_extract(value, '$.name'), json_extract(value, '$.count') FROM json_each(?) WHERE true
       ON CONFLICT DO UPDATE SET count = excluded.count`,
      all,
    )
  }

  close(): void {
    clearInterval(this.#timer)
    this.save()
  }

  totals(): Totals {
    const of = (endpoint: Endpoint) => [...this.#counts.values()].filter((it) => it.endpoint === endpoint)
    const sums = (endpoint: Endpoint) => ({
      requests: of(endpoint).reduce((sum, { count }) => sum + count, 0),
      byStatus: sumBy(of(endpoint), ({ seen }) => String(seen)),
    })
    const grantTypes = [...new Set(of('token').map((it) => it.grantType ?? 'none'))]
    return {
      token: {
        ...sums('token'),
        byRealm: sumBy(of('token'), ({ realm }) => realm ?? 'none'),
        byGrantType: Object.fromEntries(
          grantTypes.map((type) => [
            type,
            sumBy(
              of('token').filter((it) => (it.grantType ?? 'none') === type),
              ({ seen }) => String(seen),
            ),
          ]),
        ),
      },
      revoke: sums('revoke'),
      introspect: sums('introspect'),
      par: sums('par'),
      device: sums('device'),
      authorization: sums('authorization'),
      demoApi: sums('demo-api'),
    }
  }
}

function sumBy(counts: readonly (Counted & { count: number })[], key: (it: Counted) => string): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const it of counts) sums[key(it)] = (sums[key(it)] ?? 0) + it.count
  return sums
}
