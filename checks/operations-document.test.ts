import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { BLOCKED_REASONS, NEEDS_USER_REASONS, type RecordedEventData } from '@tokenkeep/core'

const text = readFileSync(new URL('../docs/operations.md', import.meta.url), 'utf8')

/** The section under a heading of the second level, without the heading. */
function section(heading: string): string {
  const found = text.split(/^## /m).find((each) => each.startsWith(heading))
  assert.ok(found !== undefined, `docs/operations.md has no section ${heading}`)
  return found
}
const headings = (of: string): string[] => [...of.matchAll(/^### `(\w+)`$/gm)].map(([, word = '']) => word)
const rows = (of: string): string[] => [...of.matchAll(/^\| `(\w+)`/gm)].map(([, word = '']) => word)

const IN_DOUBT = {
  reset: true,
  closed: true,
  malformed: true,
  abandoned: true,
  cut: true,
  server_error: true,
  no_tokens: true,
  not_understood: true,
  owner_dead: true,
  owner_silent: true,
} as const satisfies Record<RecordedEventData['connection.in_doubt']['because'], true>
const REFRESH_FAILED = {
  busy: true,
  forbidden: true,
  dns: true,
  refused: true,
  tls: true,
  timeout: true,
  address_refused: true,
  discovery: true,
  send_limit: true,
  closed: true,
  client: true,
  client_assertion_file: true,
  client_certificate_expired: true,
  grant_file: true,
  source_connection: true,
} as const satisfies Record<RecordedEventData['connection.refresh_failed']['because'], true>

test('docs/operations.md has the life of an incident for each reason', () => {
  assert.deepEqual(headings(section('`needs_user`')), [...NEEDS_USER_REASONS])
  assert.deepEqual(headings(section('`blocked`')), [...BLOCKED_REASONS])
})

test('docs/operations.md has a line for each word that says why there was no answer, or none that helped', () => {
  assert.deepEqual(rows(section('`in_doubt`')), Object.keys(IN_DOUBT))
  assert.deepEqual(rows(section('`refresh_failed`')), Object.keys(REFRESH_FAILED))
})
