import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test, type TestContext } from 'node:test'
import type { OwnerId, ProofOfDeath, Spilled } from '@tokenkeep/core'
import { createLiveness } from '../src/liveness.ts'
import { createSpill } from '../src/spill-slots.ts'

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenkeep-spill-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** An owner in a process of its own that keeps `count` answers, clears the first `cleared`, and is killed. */
async function killedOwner(folder: string, count: number, cleared: number): Promise<OwnerId> {
  const owner = randomUUID() as OwnerId
  const program = fileURLToPath(new URL('./spill-child.ts', import.meta.url))
  const flags = ['--conditions=tokenkeep-source', program, folder, owner, String(count), String(cleared)]
  const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await closed
  return owner
}

async function survivorIn(t: TestContext, folder: string) {
  const owner = randomUUID() as OwnerId
  const liveness = await createLiveness({ folder, owner })
  const spill = createSpill({ folder, owner })
  t.after(async () => {
    await spill.close()
    liveness.close()
  })
  const proofOf = async (dead: OwnerId): Promise<ProofOfDeath> => {
    const judged = await liveness.judge(dead, null)
    assert.ok(typeof judged === 'object', `judged ${String(judged)}`)
    return judged
  }
  const left = async (proof: ProofOfDeath): Promise<Spilled[]> => {
    const found: Spilled[] = []
    for await (const entry of spill.pending(proof)) found.push(entry)
    return found
  }
  return { liveness, spill, proofOf, left }
}

test('what an owner kept and did not clear before it was killed is found by whoever proves its death', async (t) => {
  const folder = await folderFor(t)
  const dead = await killedOwner(folder, 3, 1)
  const { liveness, spill, proofOf, left } = await survivorIn(t, folder)
  assert.deepEqual(await liveness.others(), [dead])
  const proof = await proofOf(dead)
  const found = await left(proof)
  assert.deepEqual(
    found.map(({ attempt }) => attempt),
    ['attempt-1', 'attempt-2'],
  )
  const [first] = found
  assert.ok(first !== undefined)
  await spill.clear(first)
  await spill.clear(first)
  assert.deepEqual(
    (await left(proof)).map(({ attempt }) => attempt),
    ['attempt-2'],
  )
  for (const entry of await left(proof)) await spill.clear(entry)
  assert.deepEqual(await left(proof), [])
  proof.release(true)
  assert.deepEqual(await readdir(join(folder, 'spill')), [])
  assert.deepEqual(await liveness.others(), [])
  await spill.clear(first)
})

test('a replay that stops halfway is taken up by the next, with what was not cleared', async (t) => {
  const folder = await folderFor(t)
  const dead = await killedOwner(folder, 2, 0)
  const first = await survivorIn(t, folder)
  const proof = await first.proofOf(dead)
  for await (const entry of first.spill.pending(proof)) {
    await first.spill.clear(entry)
    break
  }
  proof.release(false)
  const second = await survivorIn(t, folder)
  const again = await second.proofOf(dead)
  assert.deepEqual(
    (await second.left(again)).map(({ attempt }) => attempt),
    ['attempt-1'],
  )
  again.release(true)
})

test('an owner killed before it kept anything leaves nothing to replay', async (t) => {
  const folder = await folderFor(t)
  const dead = await killedOwner(folder, 0, 0)
  const { proofOf, left } = await survivorIn(t, folder)
  const proof = await proofOf(dead)
  assert.deepEqual(await left(proof), [])
  proof.release(true)
})
