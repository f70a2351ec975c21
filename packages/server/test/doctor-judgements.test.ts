/** What doctor makes of what it sees, where no test can bring it about: one row for each boundary. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readFileSync } from 'node:fs'
import { X509Certificate } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { differenceByDate, type FolderSeen } from '@tokenkeep/node'
import type { Client } from '@tokenkeep/core'
import { judgeClient } from '../src/doctor/clients.ts'
import { judgeClocks } from '../src/doctor/clock.ts'
import type { Finding } from '../src/doctor/finding.ts'
import { judgeConfiguration } from '../src/doctor/configuration.ts'
import { judgeFolder } from '../src/doctor/folder.ts'
import { judgeProcesses } from '../src/doctor/processes.ts'
import { judgeProgram } from '../src/doctor/program.ts'
import { judgeServer } from '../src/doctor/server.ts'
import { readConfiguration } from '../src/serve/configuration.ts'

const codes = (findings: readonly Finding[]): string[] => findings.map(({ code }) => code)
const MIB = 1024 * 1024

const folder = (more: Partial<FolderSeen>, fileSystem: Partial<FolderSeen['fileSystem']> = {}): FolderSeen => ({
  path: '/data',
  missing: false,
  mode: 0o700,
  users: { owner: 7, own: 7 },
  sync: 5,
  fileSystem: { kind: 'local', name: 'local', freeBytes: 1000 * MIB, freeFiles: 1000, ...fileSystem },
  ...more,
})

test('space, files and the kind of a file system are judged by what a process needs of them', () => {
  for (const [seen, databaseMib, expected] of [
    [folder({}), 0, ['folder']],
    [folder({}, { freeBytes: 64 * MIB }), 0, ['folder']],
    [folder({}, { freeBytes: 64 * MIB - 1 }), 0, ['folder', 'space_low']],
    [folder({}), 1000, ['folder']],
    [folder({}), 1001, ['folder', 'space_below_database']],
    [folder({}, { freeFiles: 99 }), 0, ['folder', 'files_low']],
    [folder({}, { freeFiles: null }), 0, ['folder']],
    [folder({}, { kind: 'network', name: 'NFS' }), 0, ['folder', 'file_system_network']],
    [folder({}, { kind: 'memory', name: 'tmpfs' }), 0, ['folder', 'file_system_memory']],
    [folder({}, { kind: 'layer', name: 'overlayfs' }), 0, ['folder', 'file_system_layer']],
    [folder({ sync: 200 }), 0, ['folder']],
    [folder({ sync: 201 }), 0, ['folder', 'disk_slow']],
    [folder({ sync: { failed: 'the file system is read-only (EROFS)' } }), 0, ['folder_unwritable']],
    [folder({ mode: 0o777 }), 0, ['folder', 'folder_open_to_all']],
    [folder({ mode: 0o1777 }), 0, ['folder']],
    [folder({ users: { owner: 7, own: 8 } }), 0, ['folder', 'folder_of_other_user']],
    [folder({ users: { owner: 7, own: 0 } }), 0, ['folder']],
    [folder({ missing: true, sync: null }), 0, ['folder_missing']],
  ] as const) {
    assert.deepEqual(codes(judgeFolder(seen, databaseMib * MIB)), expected)
  }
})

test('the difference of two clocks is the least that explains a Date of whole seconds and an answer that took its time', () => {
  const at = Date.parse('2026-03-01T12:00:00Z')
  const said = (date: string | undefined, age?: string, tookMs = 0): number | null =>
    differenceByDate({ date, age, sentAt: at, receivedAt: at + tookMs })
  const gmt = (ms: number): string => new Date(at + ms).toUTCString()
  assert.equal(said(undefined), null)
  assert.equal(said('yesterday'), null)
  assert.equal(said(gmt(0)), 0)
  // Up to the end of the second that it names.
  assert.equal(said(gmt(-1000)), -1)
  assert.equal(said(gmt(-1000), undefined, 10), -1)
  assert.equal(said(gmt(3000)), 3000)
  assert.equal(said(gmt(3000), undefined, 2500), 500)
  // A cache had it for a minute.
  assert.equal(said(gmt(-60_000), '60'), 0)
  assert.equal(said(gmt(-60_000), 'nonsense'), -59_001)
})

test('a clock is told from two seconds on, and is wrong from five', () => {
  const of = (differenceMs: number): string[] =>
    codes(judgeClocks({ others: [{ other: 'p', differenceMs }], jumpedMs: 0, databaseAheadMs: 0, offline: false }))
  assert.deepEqual(of(1_999), ['clock'])
  assert.deepEqual(of(-1_999), ['clock'])
  assert.deepEqual(of(2_000), ['clock_differs_little'])
  assert.deepEqual(of(-4_999), ['clock_differs_little'])
  assert.deepEqual(of(5_000), ['clock_differs'])
  const jumped = judgeClocks({ others: [], jumpedMs: -2_000, databaseAheadMs: 5_000, offline: true })
  assert.deepEqual(codes(jumped), ['clock_alone', 'clock_jumped', 'clock_behind_database'])
})

test('what a provider answers about a token that nobody made says whether it takes the client', () => {
  const client = { id: 'app', provider: 'p', tokenEndpointAuthMethod: 'client_secret_basic' } as unknown as Client
  const whole: Client = {
    ...client,
    tokenEndpointAuthSigningAlg: null,
    clientAssertionFile: null,
    certificate: null,
    dpopBoundAccessTokens: false,
  }
  type Answer = readonly ['introspection' | 'revocation', number, (string | null)?, (boolean | null)?]
  const of = (...answers: readonly Answer[]): string[] =>
    codes(
      judgeClient({
        client: whole,
        seen: {
          asked: answers.map(([endpoint, status, error = null, active = null]) => ({
            endpoint,
            status,
            error,
            active,
          })),
          unusable: null,
          assertionEndsAt: null,
          keys: [],
        },
        metadata: null,
        hasEndpoint: true,
        online: true,
        now: 0,
      }),
    )
  assert.deepEqual(of(['introspection', 200, null, false]), ['client'])
  assert.deepEqual(of(['introspection', 401, 'invalid_client'], ['revocation', 401, 'invalid_client']), [
    'client_refused',
  ])
  assert.deepEqual(of(['introspection', 401, 'invalid_client']), ['client_refused'])
  assert.deepEqual(of(['revocation', 400, 'invalid_client']), ['client_refused'])
  // Not for this client to ask, which revocation is.
  assert.deepEqual(of(['introspection', 403], ['revocation', 200]), ['client'])
  assert.deepEqual(of(['introspection', 401, 'invalid_client'], ['revocation', 200]), ['client'])
  assert.deepEqual(of(['introspection', 401, 'invalid_client'], ['revocation', 503]), ['client_unclear'])
  assert.deepEqual(of(['revocation', 200, 'invalid_token']), ['client'])
  assert.deepEqual(of(['revocation', 200, 'invalid_client']), ['client_refused'])
  assert.deepEqual(of(['revocation', 400, 'invalid_token']), ['client_unclear'])
  assert.deepEqual(of(['revocation', 500]), ['client_unclear'])
  // Whoever calls a made-up token active looks at nothing.
  assert.deepEqual(of(['introspection', 200, null, true]), ['client_unclear'])
  assert.deepEqual(of(), ['client_no_answer'])
})

test('an answer that waits in the slot of a dead process is wrong, one of a living process a note', () => {
  const of = (ofAlive: number, ofDead: number, dead = 0): string[] =>
    codes(judgeProcesses({ folder: '/data', alive: 1, dead, unknown: 0, answers: { ofAlive, ofDead } }))
  assert.deepEqual(of(0, 0), ['processes'])
  assert.deepEqual(of(0, 0, 1), ['processes', 'processes_dead'])
  assert.deepEqual(of(0, 1, 1), ['processes', 'answers_left'])
  assert.deepEqual(of(1, 0), ['processes', 'answers_waiting'])
})

test('the environment of Node is looked through for what would mislead it', () => {
  const of = (
    node: string,
    environment: Readonly<Record<string, string>> = {},
    failed: string | null = null,
  ): string[] => codes(judgeProgram({ version: '0.1.0', node, environment, extraCertificatesFailed: failed }))
  assert.deepEqual(of('22.19.0'), ['program'])
  assert.deepEqual(of('22.18.9'), ['node_too_old'])
  assert.deepEqual(of('26.0.0'), ['program'])
  assert.deepEqual(of('24.0.0', { NODE_TLS_REJECT_UNAUTHORIZED: '0' }), ['program', 'certificates_unchecked'])
  assert.deepEqual(of('24.0.0', { https_proxy: 'http://proxy' }), ['program', 'proxy_not_used'])
  assert.deepEqual(of('24.0.0', {}, 'ENOENT'), ['program', 'extra_certificates_unreadable'])
})

test('what a server says of itself is told line by line', () => {
  const of = (status: number, mediaType: string, text: string): string[] =>
    codes(
      judgeServer({
        url: 'https://keep.example.org',
        which: 'named',
        seen: { ready: { status, mediaType, text }, version: '0.0.9', certificateEndsAt: null, clockMs: null },
        own: '0.1.0',
        now: 0,
      }),
    )
  assert.deepEqual(of(200, 'text/plain', 'ready\n'), ['server', 'server_other_version'])
  assert.deepEqual(of(200, 'text/plain', 'hold: a copy\n'), ['server_on_hold', 'server_other_version'])
  assert.deepEqual(of(200, 'text/plain', 'ready\npolling: a pooler\n'), [
    'server',
    'server_short',
    'server_other_version',
  ])
  assert.deepEqual(of(503, 'application/problem+json', '{"detail":"the disk"}'), ['server_not_ready'])
  assert.deepEqual(of(200, 'text/html', '<h1>ready</h1>'), ['server_other'])
  assert.deepEqual(of(502, 'text/html', 'bad gateway'), ['server_other'])
})

test('the certificate of `serve` is compared with its end, and with the host of the public URL', async () => {
  const fixture = (name: string): string => fileURLToPath(new URL(`../../node/test/fixtures/${name}`, import.meta.url))
  const [cert, key] = [fixture('localhost-certificate.pem'), fixture('localhost-key.pem')]
  const end = Date.parse(new X509Certificate(readFileSync(cert)).validTo)
  const of = async (now: number, publicUrl: string, tlsKeyMode: number | null = 0o600): Promise<string[]> => {
    const flags = { tlsCertFile: cert, tlsKeyFile: key, publicUrl }
    const read = await readConfiguration(flags, { environment: {}, folder: '/' })
    assert.equal(read.kind, 'read')
    const configuration = read.kind === 'read' ? read.configuration : null
    return codes(
      judgeConfiguration({ mistakes: [], configuration, place: '/data', environment: {}, tlsKeyMode, now }),
    ).slice(1)
  }
  const day = 24 * 3600 * 1000
  const url = 'https://localhost'
  assert.deepEqual(await of(end - 14 * day, url), ['certificate'])
  assert.deepEqual(await of(end - 14 * day + 1, url), ['certificate_ends'])
  assert.deepEqual(await of(end, url), ['certificate_ended'])
  assert.deepEqual(await of(end - 15 * day, 'https://127.0.0.1:8443'), ['certificate'])
  assert.deepEqual(await of(end - 15 * day, 'https://keep.example.org'), ['certificate', 'certificate_of_other_name'])
  assert.deepEqual(await of(end - 15 * day, 'https://10.0.0.1'), ['certificate', 'certificate_of_other_name'])
  assert.deepEqual(await of(end - 15 * day, url, 0o644), ['certificate', 'tls_key_open'])
})

test('variables that nobody reads are told, and not those of Kubernetes or of other programs', () => {
  const names = (environment: Readonly<Record<string, string>>): unknown[] =>
    judgeConfiguration({ mistakes: [], configuration: null, place: '/data', environment, tlsKeyMode: null, now: 0 })
      .filter(({ code }) => code === 'variable_unknown')
      .map(({ facts }) => facts['variable'])
  assert.deepEqual(names({ TOKENKEEP_PORT: '1', TOKENKEEP_KEY: 'x', TOKENKEEP_CONFIG: 'x', OTHER: 'x' }), [])
  assert.deepEqual(names({ TOKENKEEP_SERVICE_HOST: 'x', TOKENKEEP_PORT_7420_TCP_ADDR: 'x' }), [])
  assert.deepEqual(names({ TOKENKEEP_WEB_SERVICE_PORT_HTTP: 'x', TOKENKEEP_WEB_PORT: 'x' }), [])
  assert.deepEqual(names({ TOKENKEEP_PROT: '1', TOKENKEEP_DATA_FOLDER: 'x' }), [
    'TOKENKEEP_DATA_FOLDER',
    'TOKENKEEP_PROT',
  ])
})
