import assert from 'node:assert/strict'
import test from 'node:test'
import { parseForm, PARAMETERS } from '../src/http/drop-in/form.ts'
import { OAuthRefusal } from '../src/http/drop-in/refusal.ts'

const scopeOf = (body: string): string | undefined => parseForm(body).get('scope')

const READ: readonly { readonly name: string; readonly body: string; readonly scope: string | undefined }[] = [
  { name: 'a plain value', body: 'scope=dealer-api', scope: 'dealer-api' },
  { name: 'a plus, which is a space', body: 'scope=a+b', scope: 'a b' },
  { name: 'an escaped plus, which is a plus', body: 'scope=a%2Bb', scope: 'a+b' },
  { name: 'an escaped percent', body: 'scope=100%25', scope: '100%' },
  { name: 'escapes in small letters', body: 'scope=%c3%bc', scope: 'ü' },
  { name: 'four bytes of UTF-8', body: 'scope=%F0%9F%94%91', scope: '🔑' },
  { name: 'an escaped name', body: 'sc%6Fpe=a', scope: 'a' },
  { name: 'an equals sign within the value', body: 'scope=a=b==', scope: 'a=b==' },
  { name: 'an escaped ampersand', body: 'scope=a%26token%3Db', scope: 'a&token=b' },
  { name: 'a space as it is, as curl sends it', body: 'scope=a b', scope: 'a b' },
  { name: 'a parameter without a value, which is left out', body: 'scope=', scope: undefined },
  { name: 'a parameter without an equals sign, which is left out', body: 'scope', scope: undefined },
  { name: 'nothing', body: '', scope: undefined },
  { name: 'ampersands around nothing', body: '&&scope=a&&', scope: 'a' },
  { name: 'a name in other letters, which is another name', body: 'Scope=a', scope: undefined },
  { name: 'a name of every object', body: '__proto__=a&constructor=b&scope=c', scope: 'c' },
]
for (const { name, body, scope } of READ) {
  test(`reads ${name}`, () => {
    assert.equal(scopeOf(body), scope)
  })
}

const REFUSED: readonly { readonly name: string; readonly body: string }[] = [
  { name: 'a parameter twice', body: 'scope=a&scope=a' },
  { name: 'a parameter twice, once without a value', body: 'scope=&scope=a' },
  { name: 'a parameter twice, once with an escaped name', body: 'scope=a&sc%6fpe=b' },
  { name: 'an unknown parameter twice', body: 'colour=red&colour=red' },
  { name: 'an escape that is cut', body: 'scope=%2' },
  { name: 'an escape that is none', body: 'scope=%zz' },
  { name: 'a percent sign alone', body: 'scope=100%' },
  { name: 'an escape that is none in an unknown parameter', body: 'colour=%zz&scope=a' },
  { name: 'an escape that is none in a name', body: '%zz=a' },
  { name: 'a byte that begins no UTF-8', body: 'scope=%FF' },
  { name: 'UTF-8 that is cut', body: 'scope=%C3' },
  { name: 'an overlong encoding', body: 'scope=%C0%AF' },
  { name: 'half of a surrogate pair', body: 'scope=%ED%A0%80' },
  { name: 'letters that are not escaped', body: 'scope=ü' },
  { name: 'bytes that were no UTF-8', body: 'scope=\u{FFFD}' },
  { name: 'a line break at the end', body: 'scope=a\n' },
  { name: 'a zero byte', body: 'scope=a\0' },
  { name: 'more parameters than anybody needs', body: Array.from({ length: 101 }, (_, at) => `p${at}=x`).join('&') },
]
for (const { name, body } of REFUSED) {
  test(`refuses ${name}`, () => {
    assert.throws(
      () => parseForm(body),
      (error) => error instanceof OAuthRefusal && error.error === 'invalid_request',
    )
  })
}

test('resource may come more than once (RFC 8707 section 2)', () => {
  const form = parseForm('resource=https%3A%2F%2Fa.example&scope=a&resource=https://b.example&resource=')
  assert.deepEqual(form.resources, ['https://a.example', 'https://b.example'])
  assert.equal(form.get('scope'), 'a')
})

test('too many resources are too many parameters', () => {
  assert.throws(() => parseForm('resource=x&'.repeat(101)), OAuthRefusal)
})

test('each parameter but resource may come once', () => {
  for (const name of PARAMETERS.filter((each) => each !== 'resource')) {
    assert.throws(() => parseForm(`${name}=a&${name}=b`), { message: `${name} is given twice` })
  }
})

test('what is said of a parameter that nobody knows does not repeat it: it could be a secret that lost its name', () => {
  assert.throws(() => parseForm('tkr_secret&tkr_secret'), { message: 'a parameter is given twice' })
})

test('a body of nothing but ampersands or parameters is read in no time worth counting', () => {
  const large = 64 * 1024
  assert.equal(scopeOf('&'.repeat(large)), undefined)
  assert.throws(() => parseForm('a&'.repeat(large / 2)), OAuthRefusal)
  assert.throws(() => parseForm(Array.from({ length: large / 8 }, (_, at) => `p${at}`).join('&')), OAuthRefusal)
  assert.equal(scopeOf(`scope=${'%41'.repeat(20_000)}`)?.length, 20_000)
})
