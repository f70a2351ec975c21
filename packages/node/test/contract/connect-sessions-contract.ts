/** What every database does for connect sessions. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type {
  ClientId,
  ConnectionId,
  ConnectSession,
  ConnectState,
  ProviderId,
  Revision,
  Sealed,
  Serial,
  UnixMs,
} from '@tokenkeep/core'
import type { ConnectSessionRows, StoredConnectSession } from '../../src/connect-sessions.ts'

export interface ConnectSessionsBackend {
  /** The same database, opened once more. */
  open(): Promise<{ readonly rows: ConnectSessionRows; close(): Promise<void> }>
  end(): Promise<void>
}

const at = (ms: number): UnixMs => (1_800_000_000_000 + ms) as UnixMs

const stored = (id: string, expiresAt: number): StoredConnectSession => ({
  session: {
    id,
    revision: 1 as Revision,
    provider: 'external' as ProviderId,
    client: 'app' as ClientId,
    connection: `of-${id}` as ConnectionId,
    labels: { team: 'sales' },
    scope: null,
    resources: ['https://api.example.org/'],
    otherAccount: false,
    returnTo: null,
    madeBy: null,
    within: {},
    createdAt: at(0),
    expiresAt: at(expiresAt),
    state: { status: 'open', failure: null },
  },
  link: `link-${id}`,
  state: null,
  boundTo: null,
  secrets: null,
})

const AWAY: ConnectState = { status: 'signing_in', since: at(1), redirectUri: 'https://app.example/back' }

function begun(before: StoredConnectSession, state: string): StoredConnectSession {
  const session: ConnectSession = {
    ...before.session,
    revision: (before.session.revision + 1) as Revision,
    state: AWAY,
  }
  const secrets = { sealed: new Uint8Array([1, 2, 3]) as Sealed, serial: 'serial-1' as Serial }
  return { ...before, session, state, boundTo: 'browser', secrets }
}

export function connectSessionsContract(name: string, make: () => Promise<ConnectSessionsBackend>): void {
  const by = async (work: (rows: ConnectSessionRows, other: ConnectSessionRows) => Promise<void>): Promise<void> => {
    const backend = await make()
    const [one, other] = [await backend.open(), await backend.open()]
    try {
      await work(one.rows, other.rows)
    } finally {
      await one.close()
      await other.close()
      await backend.end()
    }
  }

  test(`${name}: a session is found by its id, its link and its state, as it was written`, () =>
    by(async (rows, other) => {
      const first = stored('one', 1000)
      await rows.add(first, 0)
      for (const key of [{ id: 'one' }, { link: 'link-one' }]) assert.deepEqual(await other.find(key), first)
      const second = begun(first, 'state-one')
      assert.equal(await rows.change(second), true)
      for (const key of [{ id: 'one' }, { link: 'link-one' }, { state: 'state-one' }]) {
        const found = await other.find(key)
        assert.deepEqual(found?.session, second.session)
        assert.deepEqual([...(found?.secrets?.sealed ?? [])], [1, 2, 3])
        assert.deepEqual([found?.state, found?.boundTo, found?.secrets?.serial], ['state-one', 'browser', 'serial-1'])
      }
      for (const key of [{ id: 'two' }, { link: 'link-two' }, { state: 'state-two' }])
        assert.equal(await other.find(key), null)
    }))

  test(`${name}: of two who change what they read alike, one is first and the other is told`, () =>
    by(async (rows, other) => {
      const first = stored('one', 1000)
      await rows.add(first, 0)
      const tries = Array.from({ length: 10 }, (_, n) =>
        (n % 2 === 0 ? rows : other).change(begun(first, `state-${n}`)),
      )
      assert.equal((await Promise.all(tries)).filter((written) => written).length, 1)
      assert.equal((await other.find({ id: 'one' }))?.session.revision, 2)
    }))

  test(`${name}: what ended before is forgotten when the next one is added`, () =>
    by(async (rows, other) => {
      await rows.add(stored('old', 1000), 0)
      await rows.add(stored('young', 3000), at(1000))
      assert.notEqual(await other.find({ id: 'old' }), null)
      await rows.add(stored('next', 9000), at(2000))
      assert.equal(await other.find({ id: 'old' }), null)
      assert.notEqual(await other.find({ id: 'young' }), null)
    }))
}
