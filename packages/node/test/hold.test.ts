/** Which databases start in hold: real files that are copied, moved and put back; and what a hold means to callers. */
import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { TokenError } from '@tokenkeep/core'
import type { Tokenkeep } from '../src/tokenkeep.ts'
import { openWorld, type World } from './world.ts'

const codeOf = (error: unknown): string => (error instanceof TokenError ? error.code : String(error))
const tried = (act: Promise<unknown>): Promise<string> => act.then(() => 'done', codeOf)
const because = async (keep: Tokenkeep): Promise<string | null> => (await keep.incarnation()).hold?.because ?? null
const numberOf = (path: string): bigint => statSync(path, { bigint: true }).ino
const presentations = async (world: World, sessionId: string): Promise<number> =>
  (await world.server.control.counters('external', sessionId)).presentations

/** Opens it, says whether it is on hold, and closes it again. */
async function holdAt(world: World, path = world.path): Promise<string | null> {
  const keep = await world.reopen({ path })
  const found = await because(keep)
  await keep.close()
  return found
}

const configuration = (world: World): string => join(world.folder, 'config')
const state = (world: World): string => `${world.path}.state`
async function markersIn(folder: string): Promise<string[]> {
  const names = await readdir(folder)
  return names.filter((name) => name.endsWith('.marker')).map((name) => join(folder, name))
}
async function forgetMarkers(world: World): Promise<void> {
  for (const folder of [configuration(world), state(world)]) {
    for (const path of await markersIn(folder)) await rm(path)
  }
}

// ---- what starts in hold -------------------------------------------------------------------------------------------

test('a restart is no hold, however often, by however many, and after a close that wrote', async () => {
  await using world = await openWorld()
  const together = await Promise.all([world.reopen(), world.reopen(), world.reopen()])
  for (const keep of together) assert.equal(await because(keep), null)
  await world.connect('dealer-42')
  for (const keep of [...together, world.keep]) await keep.close()
  for (let time = 0; time < 3; time += 1) assert.equal(await holdAt(world), null)
})

test('a copy is held, and its original is not', async () => {
  await using world = await openWorld()
  await world.keep.close()
  const copy = join(world.folder, 'copy.db')
  await cp(world.path, copy)
  assert.equal(await holdAt(world, copy), 'another_place')
  assert.equal(await holdAt(world, copy), 'another_place', 'and opening it again does not end that')
  assert.equal(await holdAt(world), null)
})

test('a copy of the whole folder is held, with its state, its key and its markers', async () => {
  await using world = await openWorld()
  await world.keep.close()
  const elsewhere = await mkdtemp(join(tmpdir(), 'tokenkeep-copied-'))
  await cp(world.folder, elsewhere, { recursive: true, preserveTimestamps: true })
  const keep = await world.reopen({
    path: join(elsewhere, 'tokens.db'),
    keyFile: join(elsewhere, 'config', 'test.key'),
  })
  assert.equal(await because(keep), 'another_place')
  await keep.close()
  await rm(elsewhere, { recursive: true })
})

test('a database that was moved or renamed is the same', async () => {
  await using world = await openWorld()
  await world.keep.close()
  await mkdir(join(world.folder, 'moved'))
  const moved = join(world.folder, 'moved', 'renamed.db')
  await rename(world.path, moved)
  assert.equal(await holdAt(world, moved), null)
})

test('a copy that took the number of its deleted original is held', async (t) => {
  await using world = await openWorld()
  await world.keep.close()
  const before = numberOf(world.path)
  const copy = join(world.folder, 'copy.db')
  await cp(world.path, copy, { preserveTimestamps: true })
  await rm(world.path)
  await cp(copy, world.path, { preserveTimestamps: true })
  if (numberOf(world.path) !== before) {
    t.diagnostic('NOT RUN: this file system did not give the number of a deleted file to the next one')
    return
  }
  assert.equal(await holdAt(world), 'another_place')
})

test('a backup that was written over the file is held, also where only one of the two markers is left', async () => {
  await using world = await openWorld()
  await world.keep.close()
  const backup = await readFile(world.path)
  await holdAt(world)
  for (const without of ['no marker', 'the configuration folder', 'the state folder']) {
    const number = numberOf(world.path)
    await writeFile(world.path, backup)
    assert.equal(numberOf(world.path), number, 'the very same file')
    const gone = { 'the configuration folder': configuration(world), 'the state folder': state(world) }[without]
    const kept = gone === undefined ? [] : await Promise.all((await markersIn(gone)).map(aside))
    assert.equal(await holdAt(world), 'older_epoch', `without ${without}`)
    for (const back of kept) await back()
  }
  await writeFile(world.path, backup)
  await forgetMarkers(world)
  assert.equal(await holdAt(world), null, 'the control: with neither nobody can tell')
})

/** Puts a file aside; the returned function puts it back. */
async function aside(path: string): Promise<() => Promise<void>> {
  await rename(path, `${path}.aside`)
  return () => rename(`${path}.aside`, path)
}

test('what was written since the last opening makes a backup from before it older, also within a minute', async () => {
  await using world = await openWorld()
  const second = await world.reopen()
  // Of a database that is open: what a snapshot of the disk would hold.
  const backup = await Promise.all(['', '-wal'].map((suffix) => readFile(`${world.path}${suffix}`)))
  await world.connect('dealer-42')
  await world.keep.close()
  await second.close()
  const [file, log] = backup
  assert.ok(file !== undefined && log !== undefined)
  await writeFile(world.path, file)
  await writeFile(`${world.path}-wal`, log)
  assert.equal(await holdAt(world), 'older_epoch')
})

test('two that went on from one state are told apart, though their epochs are equal', async () => {
  await using world = await openWorld()
  await world.keep.close()
  const common = await readFile(world.path)
  await holdAt(world)
  const markers = new Map<string, Buffer>()
  for (const path of [...(await markersIn(configuration(world))), ...(await markersIn(state(world)))]) {
    markers.set(path, await readFile(path))
  }
  await writeFile(world.path, common)
  await forgetMarkers(world)
  assert.equal(await holdAt(world), null)
  for (const [path, marker] of markers) await writeFile(path, marker)
  assert.equal(await holdAt(world), 'another_branch')
})

test('a host whose configuration does not last starts without a hold, as a container does each time', async () => {
  await using world = await openWorld()
  await world.keep.close()
  for (const path of await markersIn(configuration(world))) await rm(path)
  assert.equal(await holdAt(world), null)
  assert.equal((await markersIn(configuration(world))).length, 1, 'it is written again')
})

test('a marker that cannot be written or read is done without', async () => {
  await using world = await openWorld()
  await world.keep.close()
  for (const folder of [configuration(world), state(world)]) {
    for (const path of await markersIn(folder)) {
      await rm(path)
      await mkdir(path)
    }
  }
  assert.equal(await holdAt(world), null)
  for (const path of await markersIn(state(world))) {
    await rm(path, { recursive: true })
    await writeFile(path, 'tokenkeep-marker 1\nepoch soon\n')
  }
  assert.equal(await holdAt(world), null)
})

test('a marker is for its owner alone, and names no secret', async () => {
  await using world = await openWorld()
  await world.keep.close()
  const [marker] = await markersIn(configuration(world))
  assert.ok(marker !== undefined)
  assert.equal(statSync(marker).mode & 0o777, 0o600)
  const lines = (await readFile(marker, 'utf8')).trimEnd().split('\n')
  assert.deepEqual(
    lines.map((line) => line.split(' ', 1)[0]),
    ['tokenkeep-marker', 'installation', 'epoch', 'branch', 'database'],
  )
  assert.equal(dirname(marker), configuration(world))
})

// ---- what a hold means, and how it ends ----------------------------------------------------------------------------

interface Copied {
  readonly copy: Tokenkeep
  /** Living in the copy, as it was when it was copied. */
  readonly accessToken: string
  readonly sessionId: string
}

/** A copy of a database in use, made while the original runs, at a strict provider. */
async function copied(world: World): Promise<Copied> {
  const { sessionId } = await world.connect('dealer-42', { accessTokenSeconds: 60 })
  const { accessToken } = await world.keep.token('dealer-42')
  const path = join(world.folder, 'copy', 'tokens.db')
  await mkdir(dirname(path))
  for (const suffix of ['', '-wal']) await cp(`${world.path}${suffix}`, `${path}${suffix}`)
  return { copy: await world.reopen({ path }), accessToken, sessionId }
}

const STRICT = { realm: { rotation: { kind: 'strict' } }, provider: { reuse: { kind: 'strict' } } } as const

test('beside its running original a copy hands out what lives, and presents nothing', async () => {
  await using world = await openWorld(STRICT)
  const { copy, accessToken, sessionId } = await copied(world)
  assert.equal(await because(copy), 'another_place')
  assert.equal((await copy.token('dealer-42')).accessToken, accessToken)
  world.clocks.forward(61_000)
  assert.notEqual((await world.keep.token('dealer-42')).accessToken, accessToken, 'the original goes on')
  for (const act of [copy.token('dealer-42'), copy.token('dealer-42', { scope: 'profile' })]) {
    assert.equal(await tried(act), 'on_hold')
  }
  assert.equal(await tried(copy.connections.delete('dealer-42')), 'on_hold')
  const {
    presentations: count,
    secondPresentations,
    killed,
  } = await world.server.control.counters('external', sessionId)
  assert.deepEqual([count, secondPresentations, killed], [1, 0, false])
  assert.equal(await tried(world.keep.connections.delete('dealer-42')), 'done', 'nor is the original deleted by it')
})

test('the error says what to do, and passes by itself when that is done', async () => {
  await using world = await openWorld(STRICT)
  const { copy } = await copied(world)
  world.clocks.forward(61_000)
  const error = await copy.token('dealer-42').then(
    () => assert.fail('a token was handed out'),
    (refused: unknown) => refused,
  )
  assert.ok(error instanceof TokenError)
  assert.match(error.message, /tokenkeep adopt/)
  assert.deepEqual([error.code, error.retryable, error.subject], ['on_hold', true, 'dealer-42'])
})

test('adopted, a copy whose original had gone on is told answer_lost at its first refusal, once', async () => {
  await using world = await openWorld(STRICT)
  const { copy, sessionId } = await copied(world)
  world.clocks.forward(61_000)
  await world.keep.token('dealer-42')
  await world.keep.close()
  const seen = await world.reopen({ path: join(world.folder, 'copy', 'tokens.db') })
  assert.deepEqual(
    [(await copy.adopt()).wasOnHold, (await copy.connections.get('dealer-42')).status],
    [true, 'in_doubt'],
  )
  assert.equal(await because(seen), null, 'whoever has it open notices')
  const error: unknown = await seen.token('dealer-42').catch((refused: unknown) => refused)
  assert.ok(error instanceof TokenError)
  assert.deepEqual([error.code, error.reason], ['needs_user', 'answer_lost'])
  assert.equal(await presentations(world, sessionId), 2, 'one of the original, and one after adoption')
  assert.equal(await tried(copy.token('dealer-42')), 'needs_user')
  assert.equal(await presentations(world, sessionId), 2, 'and none after that')
})

test('adopted, a copy of what nobody had refreshed since goes on as if nothing had been', async () => {
  await using world = await openWorld(STRICT)
  const { copy, sessionId } = await copied(world)
  await world.keep.close()
  assert.equal((await copy.adopt()).inDoubt, 1)
  world.clocks.forward(61_000)
  assert.equal(await tried(copy.token('dealer-42')), 'done')
  assert.equal((await copy.connections.get('dealer-42')).status, 'ready')
  assert.equal(await presentations(world, sessionId), 1)
  await copy.close()
  assert.equal(await holdAt(world, join(world.folder, 'copy', 'tokens.db')), null, 'it has its own place now')
})

test('an original that was not off is held itself when it starts again on the host where its copy was adopted', async () => {
  await using world = await openWorld(STRICT)
  const { copy } = await copied(world)
  await world.keep.close()
  await copy.adopt()
  await copy.close()
  assert.equal(await holdAt(world), 'older_epoch')
})

test('adopting what is not on hold changes nothing', async () => {
  await using world = await openWorld()
  await world.connect('dealer-42')
  const before = await world.keep.incarnation()
  assert.deepEqual(await world.keep.adopt(), { incarnation: before, wasOnHold: false, inDoubt: 0 })
  assert.equal((await world.keep.connections.get('dealer-42')).status, 'ready')
})

test('a hold and its end are told once by each process that has the database open', async () => {
  await using world = await openWorld(STRICT)
  const { copy } = await copied(world)
  const told = (): readonly string[] =>
    world.events.flatMap(({ type }) => (type === 'on_hold' || type === 'adopted' ? [type] : []))
  const until = async (count: number): Promise<void> => {
    for (let looks = 0; looks < 1_000 && told().length < count; looks += 1) await pause(20)
  }
  await until(1)
  await copy.adopt()
  await until(2)
  assert.deepEqual(told(), ['on_hold', 'adopted'])
})
