import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ms } from '@tokenkeep/core'
import { createGlance, createSystemClock } from '../src/clock-system.ts'
import { createSystemRandom } from '../src/random-system.ts'

const clockModule = JSON.stringify(new URL('../src/clock-system.ts', import.meta.url).href)
const flags = (script: string, ...args: readonly string[]): string[] => [
  '--conditions=tokenkeep-source',
  '--input-type=module',
  '--eval',
  script,
  ...args,
]

test('both clocks go on, and the wall clock counts from 1970', async () => {
  const clock = createSystemClock()
  const before = clock.now()
  await clock.tick()
  const after = clock.now()
  assert.ok(after.mono > before.mono)
  assert.ok(after.wall > 1.7e12)
})

test('a glance goes on by both clocks also in a loop that never waits', () => {
  const glance = createGlance()
  const first = glance()
  const clock = createSystemClock()
  while (clock.now().mono - first.mono < 5);
  const before = clock.now()
  const then = glance()
  assert.ok(then.mono >= before.mono)
  assert.ok(then.wall >= before.wall)
})

test('a tick is over after 50 ms, and holds the process open until then', async () => {
  const clock = createSystemClock()
  const before = clock.now()
  await Promise.all([clock.tick(), clock.tick()])
  assert.ok(clock.now().mono - before.mono >= 49)
})

test('a tick ends after the sockets were read that became readable while the loop stood still', async (t) => {
  // Whoever ends without having read the answer resets the connection.
  const server = createServer((socket) => socket.on('error', () => undefined).write('answer'))
  t.after(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  // The child stops its own loop for longer than a tick once it is connected, and only then asks the server to answer.
  const script = `
    import { connect } from 'node:net'
    import { createSystemClock } from ${clockModule}
    const order = []
    const socket = connect(Number(process.argv[1]), '127.0.0.1', () => {
      createSystemClock().tick().then(() => {
        order.push('tick')
        process.stdout.write(order.join(' '))
        process.exit()
      })
      setTimeout(() => order.push('timer'), 50)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500)
    })
    socket.on('data', () => order.push('data'))`
  const child = spawn(process.execPath, flags(script, String(address.port)), { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  await once(child, 'close')
  assert.match(output, /^(timer data|data timer) tick$|^data tick$/)
})

test('a frozen process counts one tick for its freeze, and reads the answer that came meanwhile first', async (t) => {
  const sockets: Socket[] = []
  const server = createServer((socket) => sockets.push(socket))
  t.after(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const script = `
    import { connect } from 'node:net'
    import { createSystemClock } from ${clockModule}
    const clock = createSystemClock()
    let answered = false
    const socket = connect(Number(process.argv[1]), '127.0.0.1', () => process.stdout.write('ready '))
    socket.on('data', () => { answered = true })
    for (let last = clock.now().mono, late = 0; ; ) {
      await clock.tick()
      const now = clock.now().mono
      if (now - last > 1000) {
        process.stdout.write(answered ? 'answer first' : 'tick first')
        process.exit()
      }
      last = now
    }`
  const child = spawn(process.execPath, flags(script, String(address.port)), { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const closed = once(child, 'close')
  while (!output.startsWith('ready')) await pause(5)
  child.kill('SIGSTOP')
  while (!readFileSync(`/proc/${child.pid}/stat`, 'utf8').includes(') T ')) await pause(5)
  sockets[0]?.write('answer')
  await pause(1500)
  child.kill('SIGCONT')
  await closed
  assert.equal(output, 'ready answer first')
})

test('an alarm rings once its time has passed, and never when cancelled', async () => {
  const clock = createSystemClock()
  const cancelled = clock.alarm(ms(1))
  cancelled.cancel()
  cancelled.cancel()
  const before = clock.now().mono
  await clock.alarm(ms(60)).rung
  assert.ok(clock.now().mono - before >= 59)
  assert.equal(
    await Promise.race([cancelled.rung.then(() => 'rung'), clock.alarm(ms(5)).rung.then(() => 'silent')]),
    'silent',
  )
})

test('an alarm of no or negative time rings, one beyond the range of a timer does not ring early', async () => {
  const clock = createSystemClock()
  await clock.alarm(ms(0)).rung
  await clock.alarm(ms(-5)).rung
  for (const afterMs of [2 ** 31, 2 ** 40, Number.POSITIVE_INFINITY]) {
    const far = clock.alarm(ms(afterMs))
    assert.equal(await Promise.race([far.rung.then(() => 'rung'), clock.tick().then(() => 'silent')]), 'silent')
    far.cancel()
  }
})

test('an alarm beyond the range of a timer rings at its time', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let rung = false
  const noticed = createSystemClock()
    .alarm(ms(2 ** 31 + 10))
    .rung.then(() => {
      rung = true
    })
  t.mock.timers.tick(2 ** 31 - 1)
  t.mock.timers.tick(10)
  await Promise.resolve()
  assert.equal(rung, false)
  t.mock.timers.tick(1)
  await noticed
})

test('somebody who waits for an alarm keeps the process alive, a background alarm does not', async () => {
  const run = async (options: string): Promise<string> => {
    const script = `
      import { createSystemClock } from ${clockModule}
      createSystemClock(${options}).alarm(200).rung.then(() => process.stdout.write('rung'))
      process.on('exit', () => process.stdout.write(' exit'))`
    const child = spawn(process.execPath, flags(script), { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    await once(child, 'close')
    return output
  }
  assert.equal(await run(''), 'rung exit')
  assert.equal(await run(`{ alarms: 'background' }`), ' exit')
})

test('random names are UUIDs and random fractions are below 1', () => {
  const random = createSystemRandom()
  const names = new Set(Array.from({ length: 100 }, () => random.uuid()))
  assert.equal(names.size, 100)
  for (const name of names) assert.match(name, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  for (let n = 0; n < 100; n += 1) {
    const fraction = random.fraction()
    assert.ok(fraction >= 0 && fraction < 1)
  }
})
