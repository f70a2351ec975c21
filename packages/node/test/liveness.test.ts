import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { test, type TestContext } from 'node:test'
import type { OwnerId, ProofOfDeath } from '@tokenkeep/core'
import { createLiveness, type OwnLiveness } from '../src/liveness.ts'

const newOwner = (): OwnerId => randomUUID() as OwnerId

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenkeep-liveness-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function livenessIn(t: TestContext, folder: string, owner = newOwner()): Promise<OwnLiveness> {
  const liveness = await createLiveness({ folder, owner })
  t.after(() => liveness.close())
  return liveness
}

interface Child {
  readonly process: ChildProcess
  readonly owner: OwnerId
  line(): Promise<string>
  go(): void
  ended(): Promise<unknown>
}

async function startChild(t: TestContext, what: 'own' | 'judge' | 'hunt', folder: string, other = ''): Promise<Child> {
  const owner = newOwner()
  const program = fileURLToPath(new URL('./liveness-child.ts', import.meta.url))
  const child = spawn(process.execPath, ['--conditions=tokenkeep-source', program, what, folder, owner, other], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const closed = once(child, 'close')
  const lines: AsyncIterator<string> = createInterface(child.stdout)[Symbol.asyncIterator]()
  const line = async (): Promise<string> => String((await lines.next()).value)
  assert.equal(await line(), 'ready')
  return { process: child, owner, line, go: () => child.stdin.write('\n'), ended: () => closed }
}

async function kill(child: Child): Promise<void> {
  child.process.kill('SIGKILL')
  await child.ended()
}

function assertProof(judged: ProofOfDeath | string): asserts judged is ProofOfDeath {
  assert.ok(typeof judged === 'object', `judged ${String(judged)}`)
}

const fileOf = (folder: string, owner: OwnerId): string => join(folder, 'owners', `${owner}.db`)

test('an owner in another process is alive until it is killed, and then proven dead', async (t) => {
  const folder = await folderFor(t)
  const liveness = await livenessIn(t, folder)
  const child = await startChild(t, 'own', folder)
  assert.equal(await liveness.judge(child.owner, null), 'alive')
  assert.deepEqual(await liveness.others(), [child.owner])
  await kill(child)
  const proof = await liveness.judge(child.owner, null)
  assertProof(proof)
  assert.equal(proof.kind, 'dead')
  assert.equal(proof.owner, child.owner)
  proof.release(true)
  assert.deepEqual(await liveness.others(), [])
  assert.equal(await liveness.judge(child.owner, null), 'unknown')
})

test('a frozen owner is alive, because it may still hold an answer', async (t) => {
  const folder = await folderFor(t)
  const liveness = await livenessIn(t, folder)
  const child = await startChild(t, 'own', folder)
  child.process.kill('SIGSTOP')
  while (!readFileSync(`/proc/${child.process.pid}/stat`, 'utf8').includes(') T ')) await pause(5)
  assert.equal(await liveness.judge(child.owner, null), 'alive')
  child.process.kill('SIGCONT')
  assert.equal(await liveness.judge(child.owner, null), 'alive')
})

test('an owner that ends as it should leaves no file, and is then unknown', async (t) => {
  const folder = await folderFor(t)
  const liveness = await livenessIn(t, folder)
  const child = await startChild(t, 'own', folder)
  child.go()
  await child.ended()
  assert.equal(child.process.exitCode, 0)
  assert.equal(existsSync(fileOf(folder, child.owner)), false)
  assert.equal(await liveness.judge(child.owner, null), 'unknown')
  assert.deepEqual(await liveness.others(), [])
})

test('an owner with answers in its slots leaves its file, so that somebody finds them', async (t) => {
  const folder = await folderFor(t)
  const [first, second] = [newOwner(), newOwner()]
  const ending = await createLiveness({ folder, owner: first })
  await mkdir(join(folder, 'spill'))
  await writeFile(join(folder, 'spill', `${first}.slots`), 'an answer')
  ending.close()
  ending.close()
  const liveness = await livenessIn(t, folder, second)
  assert.deepEqual(await liveness.others(), [first])
  const proof = await liveness.judge(first, null)
  assertProof(proof)
  proof.release(true)
  assert.deepEqual(await readdir(join(folder, 'spill')), [])
  assert.deepEqual(await readdir(join(folder, 'owners')), [`${second}.db`])
})

test('a proof given back undone leaves everything for the next one', async (t) => {
  const folder = await folderFor(t)
  const liveness = await livenessIn(t, folder)
  const child = await startChild(t, 'own', folder)
  await kill(child)
  const first = await liveness.judge(child.owner, null)
  assertProof(first)
  assert.equal(await liveness.judge(child.owner, null), 'alive', 'held by the proof')
  first.release(false)
  const second = await liveness.judge(child.owner, null)
  assertProof(second)
  first.release(true)
  assert.ok(existsSync(fileOf(folder, child.owner)), 'a proof that was given back does nothing more')
  second.release(true)
  assert.equal(existsSync(fileOf(folder, child.owner)), false)
})

test('of probers that try at once exactly one gets the proof', async (t) => {
  const folder = await folderFor(t)
  const child = await startChild(t, 'own', folder)
  await kill(child)
  const probers = await Promise.all(Array.from({ length: 4 }, () => startChild(t, 'judge', folder, child.owner)))
  for (const prober of probers) prober.go()
  const judged = await Promise.all(probers.map((prober) => prober.line()))
  assert.deepEqual(judged.sort(), ['alive', 'alive', 'alive', 'dead'])
  for (const prober of probers) prober.go()
  await Promise.all(probers.map((prober) => prober.ended()))
  assert.deepEqual(await readdir(join(folder, 'owners')), [])
})

test('probers in one process do not both get the proof either', async (t) => {
  const folder = await folderFor(t)
  const child = await startChild(t, 'own', folder)
  await kill(child)
  const all = await Promise.all(Array.from({ length: 4 }, () => livenessIn(t, folder)))
  const judged = await Promise.all(all.map((liveness) => liveness.judge(child.owner, null)))
  const proofs = judged.filter((one) => typeof one === 'object')
  assert.equal(proofs.length, 1)
  proofs[0]?.release(true)
})

test('a prober that is turned away by another one in the same instant looks again', async (t) => {
  const folder = await folderFor(t)
  const liveness = await livenessIn(t, folder)
  const dead = newOwner()
  writeFileSync(fileOf(folder, dead), '')
  // Halfway to the lock, where every prober is for some microseconds.
  const other = new DatabaseSync(fileOf(folder, dead))
  other.exec('BEGIN; SELECT * FROM sqlite_schema')
  const judging = liveness.judge(dead, null)
  other.close()
  const proof = await judging
  assertProof(proof)
  proof.release(true)
})

test('each of many deaths is proven once, though all the living look for them', async (t) => {
  const folder = await folderFor(t)
  const hunters = await Promise.all([1, 2, 3].map(() => startChild(t, 'hunt', folder)))
  const dead = Array.from({ length: 300 }, newOwner)
  // A file that nobody holds is what a killed owner leaves.
  for (const owner of dead) writeFileSync(fileOf(folder, owner), '')
  for (const hunter of hunters) hunter.go()
  while ((await readdir(join(folder, 'owners'))).length > hunters.length) await pause(5)
  for (const hunter of hunters) hunter.go()
  const proven = await Promise.all(hunters.map((hunter) => hunter.line()))
  assert.equal(
    proven.reduce((sum, count) => sum + Number(count), 0),
    dead.length,
    `proven by each: ${proven.join(', ')}`,
  )
})

test('two owners in one process see each other alive, however often they look', async (t) => {
  const folder = await folderFor(t)
  const [a, b] = [newOwner(), newOwner()]
  const first = await livenessIn(t, folder, a)
  const second = await livenessIn(t, folder, b)
  const outside = await startChild(t, 'judge', folder, a)
  for (let n = 0; n < 3; n += 1) {
    assert.equal(await first.judge(b, null), 'alive')
    assert.equal(await second.judge(a, null), 'alive')
    assert.equal(await first.judge(a, null), 'alive', 'itself')
  }
  // POSIX locks are lost when their process closes the file in any way: another process has to see it still locked.
  outside.go()
  assert.equal(await outside.line(), 'alive')
})

test('a prober that looks while an owner starts does not take its name away', async (t) => {
  const folder = await folderFor(t)
  const hunters = await Promise.all([1, 2, 3].map(() => startChild(t, 'hunt', folder)))
  for (const hunter of hunters) hunter.go()
  const owners = Array.from({ length: 200 }, newOwner)
  for (const owner of owners) {
    await livenessIn(t, folder, owner)
    assert.ok(existsSync(fileOf(folder, owner)))
    await nextTurn()
  }
  for (const hunter of hunters) hunter.go()
  const proven = await Promise.all(hunters.map((hunter) => hunter.line()))
  if (process.platform !== 'win32') assert.deepEqual(proven, ['0', '0', '0'], 'nobody is ever found without a lock')
  const liveness = await livenessIn(t, folder)
  for (const owner of owners) assert.equal(await liveness.judge(owner, null), 'alive')
})

test('names that are no owners lead to no file', async (t) => {
  const folder = await folderFor(t)
  const liveness = await livenessIn(t, folder)
  writeFileSync(join(folder, 'secret.db'), '')
  for (const name of [
    '',
    '../secret',
    'x/../../secret',
    '.',
    '/etc/passwd',
    'A'.repeat(36),
    '%2e%2e',
    '?mode=memory',
  ]) {
    assert.equal(await liveness.judge(name as OwnerId, null), 'unknown', name)
    await assert.rejects(createLiveness({ folder, owner: name as OwnerId }), { code: 'invalid_input' })
  }
  await writeFile(join(folder, 'owners', 'notes.txt'), '')
  await writeFile(join(folder, 'owners', 'notes.db'), '')
  assert.deepEqual(await liveness.others(), [])
})

test('a file that is broken proves nothing', async (t) => {
  const folder = await folderFor(t)
  const liveness = await livenessIn(t, folder)
  const [broken, folderOwner] = [newOwner(), newOwner()]
  await writeFile(fileOf(folder, broken), 'not a database'.repeat(100))
  await mkdir(fileOf(folder, folderOwner))
  assert.equal(await liveness.judge(broken, null), 'unknown')
  assert.equal(await liveness.judge(folderOwner, null), 'unknown')
})

test('the folder and files are for their owner alone, and a path with special characters works', async (t) => {
  const folder = join(await folderFor(t), 'a b#c?d%20é')
  const owner = newOwner()
  const liveness = await livenessIn(t, folder, owner)
  assert.equal((await stat(join(folder, 'owners'))).mode & 0o777, 0o700)
  assert.equal((await stat(fileOf(folder, owner))).mode & 0o777, 0o600)
  assert.deepEqual(await readdir(join(folder, 'owners')), [`${owner}.db`])
  assert.equal(await liveness.judge(newOwner(), null), 'unknown')
})

test('a folder that cannot be used is said', async (t) => {
  const folder = await folderFor(t)
  await writeFile(join(folder, 'owners'), 'a file in the way')
  await assert.rejects(createLiveness({ folder, owner: newOwner() }), {
    name: 'TokenError',
    code: 'folder_unusable',
    message: new RegExp(join(folder, 'owners')),
  })
})

test('an owner that left no file and was seen last in another boot of this host is dead, and nobody else is', async (t) => {
  const folder = await folderFor(t)
  const liveness = await createLiveness({ folder, owner: newOwner(), boot: 'boot-two' })
  t.after(() => liveness.close())
  const gone = newOwner()
  assertProof(await liveness.judge(gone, 'boot-one'))
  assert.equal(await liveness.judge(gone, 'boot-two'), 'unknown', 'of this boot')
  assert.equal(await liveness.judge(gone, 'about-29000000'), 'unknown', 'a name that one boot can have beside another')
  assert.equal(await liveness.judge(gone, null), 'unknown')
  const living = await livenessIn(t, folder)
  const owner = (await liveness.others())[0] ?? assert.fail()
  assert.equal(await liveness.judge(owner, 'boot-one'), 'alive', 'its lock is held')
  assert.equal(await living.judge(gone, 'boot-one'), 'unknown', 'where the store names no boot of this host')
})
