import assert from 'node:assert/strict'
import { test } from 'node:test'
import ts from 'typescript'
import { placeOf, sourceFiles, visit } from './source-file.ts'

/** The files that may look into a secret, each with its reason. A secret is opened to be sent, sealed, judged or handed out. */
const MAY_REVEAL: Readonly<Record<string, string>> = {
  'packages/core/src/grant.ts': 'judges the body of an answer',
  'packages/core/src/device-poll.ts': 'reads the words of an answer to a device that waits',
  'packages/core/src/token-response.ts': 'reads the lifetime that a JWT says of itself',
  'packages/core/src/handout.ts': 'hands the access token to the caller',
  'packages/node/src/cipher-aes-gcm.ts': 'seals, and makes fingerprints',
  'packages/node/src/answer-member.ts': 'reads one member of an answer that is no token',
  'packages/node/src/connect-sessions.ts': 'takes the verifier of a sign-in from its seal',
  'packages/node/src/sign-in-answer.ts': 'hands the tokens of a sign-in to the import',
  'packages/node/src/device-authorization.ts': 'sends the code of a device',
  'packages/node/src/device-sign-ins.ts': 'hands the key that tokens are bound to to the import',
  'packages/node/src/signed-token.ts': 'checks an ID token that is signed with the secret of the client',
  'packages/node/src/userinfo.ts': 'asks whose account it is',
  'packages/node/src/issuer-metadata.ts': 'reads the body of a discovery document',
  'packages/node/src/published-keys.ts': 'reads the body of a key set',
  'packages/node/src/dpop-proof.ts': 'signs proofs with the key that tokens are bound to',
  'packages/node/src/client-proof.ts': 'proves a client, by its secret, key or assertion',
  'packages/node/src/grant-material.ts': 'puts an assertion or a subject token into a request',
  'packages/node/src/dial.ts': 'shows a certificate, and so needs its private key',
  'packages/node/src/token-endpoint-oauth4webapi.ts': 'sends',
  'packages/server/src/remote/exchange.ts': 'sends the API key to the server',
}

const reveals = sourceFiles('packages/*/src/**').flatMap((file) => {
  const places: { readonly path: string; readonly at: string }[] = []
  visit(file.tree, (node) => {
    // Every mention, not only the call: a method that is handed on is called elsewhere.
    if (ts.isIdentifier(node) && node.text === 'reveal' && !ts.isMethodDeclaration(node.parent)) {
      places.push({ path: file.path, at: placeOf(file, node) })
    }
    if (ts.isStringLiteralLike(node) && node.text === 'reveal')
      places.push({ path: file.path, at: placeOf(file, node) })
  })
  return places
})

test('only the listed files look into a secret', () => {
  assert.deepEqual(
    reveals.filter(({ path }) => !(path in MAY_REVEAL)).map(({ at }) => at),
    [],
  )
})

test('every listed file does', () => {
  const used = new Set(reveals.map(({ path }) => path))
  assert.deepEqual(
    Object.keys(MAY_REVEAL).filter((path) => !used.has(path)),
    [],
  )
})
