/** The password of a database stands in its URL, which commands repeat in no way of failing. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { commandHere } from './command-here.ts'

/** Nothing listens on port 1. The password begins, ends or is cut where each rule about URLs would cut it. */
const URLS = [
  'postgres://keeper:canary@127.0.0.1:1/tokens',
  'postgres://keeper:canary@canary@127.0.0.1:1/tokens',
  'postgres://keeper:12/canary@127.0.0.1:1/tokens',
  'postgres://keeper:12?canary@127.0.0.1:1/tokens',
  'postgres://keeper:12#canary@127.0.0.1:1/tokens',
  'postgres://keeper:canary/canary@127.0.0.1:1/tokens',
  'postgres://keeper:canary%zz@127.0.0.1:1/tokens',
  'postgres://keeper:canary@127.0.0.1:99999/tokens',
  'postgres://keeper:canary@127.0.0.1:1/tokens?schema=Not-One',
  'postgres://127.0.0.1:1/tokens?user=keeper&password=canary',
  'mysql://keeper:canary@127.0.0.1:1/tokens',
  'keeper:canary@127.0.0.1:1/tokens',
]

const COMMANDS = [
  'token a',
  'provider list',
  'provider add p --preset google',
  'client list',
  'connection list',
  'connection show a',
  'connection delete a',
  'connection shares a',
  'key list',
  'key create --name n',
  'adopt',
  'backup file.db',
  'master-key list',
  'master-key add',
  'master-key rotate',
  'master-key reseal',
  'master-key remove first',
  'serve --port 0',
  'dev',
].map((words) => words.split(' '))

test('no command shows the password of its database, whatever is wrong with the URL', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tokenkeep-password-'))
  const places = { XDG_DATA_HOME: join(folder, 'data'), XDG_CONFIG_HOME: join(folder, 'config'), HOME: folder }
  try {
    for (const url of URLS) {
      for (const command of COMMANDS) {
        const ways = [
          [[...command, '--database', url], {}],
          [[...command, '--database', url, '--json'], {}],
          ...(command[0] === 'dev' ? [] : [[command, { TOKENKEEP_DATABASE: url, TOKENKEEP_DEBUG: '1' }] as const]),
        ] as const
        for (const [args, environment] of ways) {
          const { code, out, err } = await commandHere(args, {
            folder,
            terminal: true,
            environment: { ...places, ...environment },
          })
          assert.ok(code !== 0 && err !== '', `${command.join(' ')} on ${url} did not fail`)
          assert.doesNotMatch(out + err, /canary/, `${command.join(' ')} on ${url}`)
          assert.doesNotMatch(out + err, /unexpected/, `${command.join(' ')} on ${url}`)
        }
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
