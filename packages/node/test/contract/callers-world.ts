/** Callers on a database with providers, clients and connections, and the same callers as another process has them. */
import assert from 'node:assert/strict'
import { TokenError, parseConnectionId, type ConnectionId } from '@tokenkeep/core'
import type { ApiKeyInput } from '../../src/api-key-input.ts'
import { createCallers, type ApiKey, type CallerRows } from '../../src/callers.ts'
import { createProviderAccess } from '../../src/provider-access.ts'
import { createShownJwts } from '../../src/shown-jwt.ts'
import { createWorld, mustRead, type Backend, type World } from './store-world.ts'

export interface OpenCallers {
  readonly rows: CallerRows
  close(): Promise<void>
}

/** One database, however many stores and callers open it. */
export interface CallersBackend extends Backend {
  openCallers(): Promise<OpenCallers>
}
export type MakeCallersBackend = () => Promise<CallersBackend>

export type Desk = ReturnType<typeof createCallers>

export interface CallersWorld extends AsyncDisposable {
  readonly store: World
  readonly one: Desk
  /** The same database, opened once more. */
  readonly other: Desk
  /** A key with this input, which has a name already. */
  key(input?: Partial<ApiKeyInput>): Promise<{ readonly apiKey: ApiKey; readonly key: string }>
  /** Makes a connection `deleting`. */
  beginDelete(id: string): Promise<void>
  /** Deletes a connection for good. */
  erase(id: string): Promise<void>
  /** Its rows once more, to be closed by whoever asks. */
  open(): Promise<OpenCallers>
  /** Closes the database of `one`. */
  closeOne(): Promise<void>
}

export async function callersWorld(make: MakeCallersBackend): Promise<CallersWorld> {
  const backend = await make()
  const store = await createWorld(async () => backend)
  const [first, second] = [await backend.openCallers(), await backend.openCallers()]
  const access = createProviderAccess({ clock: store.time.clock })
  const shownJwts = createShownJwts(access)
  const desk = ({ rows }: OpenCallers): Desk =>
    createCallers({ rows, clock: store.time.clock, connectionId, shownJwts: () => Promise.resolve(shownJwts) })
  const one = desk(first)
  const beginDelete = async (id: string) => {
    const deletion = await store.one.store.beginDelete((await mustRead(store.one, id)).at)
    assert.ok(deletion.kind === 'deleting')
    return deletion
  }
  return {
    store,
    one,
    other: desk(second),
    key: (input = {}) => one.apiKeys.create({ name: 'a program', ...input }),
    beginDelete: async (id) => void (await beginDelete(id)),
    erase: async (id) => {
      assert.equal(await store.one.store.finishDelete(await beginDelete(id), true), 'erased')
    },
    open: () => backend.openCallers(),
    closeOne: () => first.close(),
    [Symbol.asyncDispose]: async () => {
      await first.close()
      await second.close()
      await store.end()
    },
  }
}

function connectionId(given: unknown): ConnectionId {
  const parsed = parseConnectionId(given)
  if ('wrong' in parsed) throw new TokenError('invalid_input', parsed.wrong)
  return parsed.id
}

/** What an act fails with, in one comparable piece. */
export async function refusal(act: () => Promise<unknown>): Promise<TokenError> {
  let error: unknown = null
  try {
    await act()
  } catch (thrown) {
    error = thrown
  }
  assert.ok(error instanceof TokenError, `it failed with ${String(error)}`)
  return error
}

/** Words that no type allows, as programs without types give them. */
export const untyped = (value: unknown): never => value as never
