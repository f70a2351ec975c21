import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { FAILURE_CODES } from '@tokenkeep/core'
import { EXIT_MEANINGS, exitCodeOf } from '../src/cli/exit-codes.ts'

test('docs/cli.md lists the exit codes with the words of --help', () => {
  const document = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8')
  const rows = [...document.matchAll(/^\| (\d) +\| (.+?) +\|$/gm)].map(([, code, meaning]) => [code, meaning])
  assert.deepEqual(Object.fromEntries(rows), EXIT_MEANINGS)
})

test('every failure has an exit code, and what can pass by itself is never told as final', () => {
  const codes = Object.fromEntries(FAILURE_CODES.map((code) => [code, exitCodeOf(code)]))
  assert.deepEqual(codes, {
    unknown_connection: 3,
    unknown_client: 3,
    unknown_provider: 3,
    unknown_api_key: 3,
    unknown_local_refresh_token: 3,
    unknown_connect_session: 3,
    connection_exists: 2,
    sign_in_failed: 4,
    refresh_token_held: 2,
    needs_user: 4,
    blocked: 6,
    in_doubt: 5,
    suspect: 5,
    on_hold: 6,
    unavailable: 5,
    deleting: 3,
    unreadable: 6,
    variant_unsupported: 2,
    scope_refused: 2,
    invalid_input: 2,
    changed_meanwhile: 2,
    provider_refused: 2,
    in_use: 6,
    store_unavailable: 5,
    key_missing: 6,
    key_wrong: 6,
    newer_database: 6,
    folder_unusable: 6,
    database_unusable: 6,
    node_too_old: 6,
    unauthorized: 6,
    forbidden: 6,
    rate_limited: 5,
    server_unreachable: 5,
    closed: 1,
  })
})
