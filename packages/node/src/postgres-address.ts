/** Reads the URL of a Postgres database. It holds a password, so that no message repeats any of it but the name. */
import { TokenError } from '@tokenkeep/core'

export interface PostgresAddress {
  /** For the driver alone: with the password. */
  readonly connectionString: string
  /** Where our tables are. */
  readonly schema: string
  /** For people: `host:port/database`, and the schema where it is not the usual one. */
  readonly name: string
}

/** Of our own, so that nothing of another program is in the way, whatever database we are given. */
export const DEFAULT_SCHEMA = 'tokenkeep'

export const isPostgresUrl = (text: string): boolean => /^postgres(?:ql)?:\/\//i.test(text)

/**
 * Reads `postgres://user:password@host:port/database?schema=tokenkeep`. Other parameters are the driver's.
 *
 * @throws TokenError `invalid_input`
 * @see https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */
export function readPostgresUrl(given: unknown): PostgresAddress {
  if (typeof given !== 'string' || !isPostgresUrl(given)) {
    throw wrong('begins with postgres:// or postgresql://')
  }
  const url = parsed(given)
  if (url.hash !== '') throw wrong('has no #: write %23 for a # in the password')
  // A password with a / or ? of its own ends the address too early, and its rest would be the database's name.
  if (`${url.pathname}${url.search}`.includes('@')) {
    throw wrong('has no @ behind its host: write %2F for a /, %3F for a ? and %40 for an @ of the password or a name')
  }
  const schema = url.searchParams.get('schema') ?? DEFAULT_SCHEMA
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema) || schema.startsWith('pg_')) {
    throw wrong('names a schema of 1 to 63 of the characters a-z 0-9 _, not beginning with a digit or pg_')
  }
  url.searchParams.delete('schema')
  return { connectionString: url.href, schema, name: nameOf(url, schema) }
}

function parsed(given: string): URL {
  try {
    const url = new URL(given)
    // What a password with an @, / or ? of its own leaves behind.
    decodeURIComponent(url.username + url.password + url.pathname)
    return url
  } catch {
    throw wrong('is an address: write special characters of the user and the password as %40 for @, %2F for /, ...')
  }
}

/** What would end a line of a log or of a marker, or reorder it. */
const NOT_PRINTED = /[\p{C}\p{Zl}\p{Zp}]/gu

function nameOf(url: URL, schema: string): string {
  const host = url.hostname || url.searchParams.get('host') || 'localhost'
  const port = url.port === '' ? '5432' : url.port
  const database = decodeURIComponent(url.pathname.slice(1))
  const place = `${host}:${port}${database === '' ? '' : `/${database}`}`.replace(NOT_PRINTED, '\uFFFD')
  return schema === DEFAULT_SCHEMA ? place : `${place} (schema ${schema})`
}

/**
 * What people call the database of a URL: host, port and name, without user and password.
 *
 * @param url `postgres://user:password@host:port/database`
 * @throws TokenError `invalid_input`
 */
export const nameOfPostgres = (url: string): string => readPostgresUrl(url).name

const wrong = (rule: string): TokenError =>
  new TokenError(
    'invalid_input',
    `the URL of a Postgres database ${rule}. For example postgres://user:password@host:5432/database`,
  )
