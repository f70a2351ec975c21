// oidc-agent by its commands: `oidc-gen` with the refresh token of the login, `oidc-token` for each call, one agent for all
// processes. It keeps logins encrypted in its own folder, and stores what is rotated there.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

/** So many of its commands at once: each is a process of its own. */
const COMMANDS_MOST = 20
const PASSWORD = 'gauntlet'
/** A little less than a call may take. */
const COMMAND_LIMIT_MS = 55_000
/** For the second of its two processes, which comes after its socket. */
const STARTS_WITHIN_MS = 5_000

let place
/** What all processes know of the agent: its socket, and its two processes, of which the second one speaks to servers. */
let agent

export async function start(given) {
  place = given
  const note = await readFile(noteOf(), 'utf8').catch(() => null)
  if (note !== null) agent = JSON.parse(note)
  // Its socket is not in the place, whose path can be too long for one.
  else await startAgent(join(mkdtempSync(join(tmpdir(), 'tokenkeep-gauntlet-')), 'agent'))
  return agent.presenter
}

const noteOf = () => join(place.folder, 'agent.json')

async function startAgent(socket) {
  rmSync(socket, { force: true })
  agent = { socket }
  // With the password at hand, or it could store nothing that is rotated.
  const options = ['--console', `--socket-path=${socket}`, '--pw-store', '--no-webserver', '--no-autoreauthenticate']
  const child = spawn('oidc-agent', options, { env: environment(), stdio: 'ignore' })
  await once(child, 'spawn')
  agent = { socket, relay: child.pid, presenter: await presenterOf(child.pid), startedBy: process.pid }
  await writeFile(noteOf(), JSON.stringify(agent))
}

async function presenterOf(pid) {
  for (const until = Date.now() + STARTS_WITHIN_MS; Date.now() < until; await pause(20)) {
    const [first] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')
    if (first && (await command('oidc-add', ['--loaded']).catch(() => null)) !== null) return Number(first)
  }
  throw new Error('oidc-agent does not start')
}

const environment = () => ({
  ...process.env,
  HOME: place.folder,
  OIDC_CONFIG_DIR: place.folder,
  OIDC_SOCK: agent.socket,
  GAUNTLET_PASSWORD: PASSWORD,
})

export async function seed({ id, refreshToken, expiresAt }, followed) {
  const { issuer, clientId, clientSecret } = place
  await command('oidc-gen', [
    id,
    '--manual',
    `--issuer=${issuer}`,
    `--client-id=${clientId}`,
    `--client-secret=${clientSecret}`,
    '--scope=openid',
    `--refresh-token=${refreshToken}`,
    '--pw-env=GAUNTLET_PASSWORD',
    '--prompt=none',
    '--confirm-default',
  ])
  // It takes no access token, and presents the refresh token at once for one. When that has ended, it is where the others are.
  if (followed === 'by_none' && Date.now() >= expiresAt) {
    const ends = Number(await command('oidc-token', ['--expires-at', id])) * 1000
    await pause(Math.max(0, ends - Date.now()) + 1_000)
  }
}

export async function getToken(id) {
  try {
    return await command('oidc-token', [id])
  } catch (error) {
    if (!/not loaded/.test(error.message)) throw error
    // The agent was started anew.
    await command('oidc-add', [id, '--pw-env=GAUNTLET_PASSWORD', '--pw-store'])
    return command('oidc-token', [id])
  }
}

export async function crash() {
  agent = JSON.parse(readFileSync(noteOf(), 'utf8'))
  killAgent()
  await startAgent(agent.socket)
  return agent.presenter
}

function killAgent() {
  for (const pid of [agent.presenter, agent.relay]) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It ended with the other one.
    }
  }
}

export async function stop() {
  if (agent.startedBy !== process.pid) return
  killAgent()
  rmSync(dirname(agent.socket), { recursive: true, force: true })
}

// ---- its commands --------------------------------------------------------------------------------------------------

let commands = 0
const waiting = []

async function command(name, args) {
  if (commands >= COMMANDS_MOST) await new Promise((resolve) => waiting.push(resolve))
  else commands += 1
  try {
    return await new Promise((resolve, reject) => {
      const child = execFile(name, args, { env: environment(), timeout: COMMAND_LIMIT_MS }, (error, out, err) => {
        if (error === null) resolve(out.trim())
        else if (error.killed) reject(new Error(`no answer within ${COMMAND_LIMIT_MS / 1000} s`))
        else reject(new Error(err.trim().split('\n').at(-1)?.slice(0, 80) || `${name} ended with ${error.code}`))
      })
      child.stdin.end()
    })
  } finally {
    const next = waiting.shift()
    if (next === undefined) commands -= 1
    else next()
  }
}
