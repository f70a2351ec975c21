import assert from 'node:assert/strict'
import { request } from 'node:http'
import test from 'node:test'
import { asBasic, asClient, openServedWorld, type FormAnswer, type PostMore, type ServedWorld } from './served-world.ts'

const basic = (text: string): PostMore => ({
  headers: { authorization: `Basic ${Buffer.from(text).toString('base64')}` },
})

const errorOf = ({ status, body }: FormAnswer): string => `${status} ${String(body['error'])}`

/** A world with one client and all it needs for a token. */
async function openDoor() {
  const world = await openServedWorld()
  await world.connect('dealer-42')
  const [key, other] = [await world.makeKey(), await world.makeKey()]
  const form = { grant_type: 'refresh_token', refresh_token: await world.share('dealer-42', key) }
  return { world, key, other, form }
}

function assertTellsNothing(world: ServedWorld, { text, headers }: FormAnswer): void {
  const everything = `${text}\n${[...headers].flat().join('\n')}`
  for (const secret of world.secrets) assert.equal(everything.includes(secret), false)
}

test('a client that is not who it says it is gets 401 invalid_client, the same whatever is wrong', async () => {
  const { world, key, other, form } = await openDoor()
  await using _ = world
  const revoked = await world.makeKey()
  await world.keep.apiKeys.revoke(revoked.id)
  const cases = [
    { client_id: key.id, client_secret: 'wrong' },
    { client_id: key.id, client_secret: `tkk_${'A'.repeat(43)}` },
    { client_id: 'nobody', client_secret: `tkk_${'A'.repeat(43)}` },
    { client_id: 'nobody', client_secret: key.key },
    { client_id: other.id, client_secret: key.key },
    { client_id: key.id, client_secret: form.refresh_token },
    { client_id: key.id, client_secret: `${key.key} ` },
    asClient(revoked),
  ]
  const byBody = await Promise.all(cases.map((proof) => world.postForm('token', { ...form, ...proof })))
  const byHeader = await Promise.all(
    cases.map((proof) => world.postForm('token', form, basic(`${proof.client_id}:${proof.client_secret}`))),
  )
  for (const answer of [...byBody, ...byHeader]) {
    assert.equal(errorOf(answer), '401 invalid_client')
    assertTellsNothing(world, answer)
  }
  assert.equal(new Set([...byBody, ...byHeader].map(({ text }) => text)).size, 1)
  // RFC 6749 section 5.2: the challenge names the scheme that was tried.
  assert.deepEqual([...new Set(byBody.map(({ headers }) => headers.get('www-authenticate')))], [null])
  assert.deepEqual(
    [...new Set(byHeader.map(({ headers }) => headers.get('www-authenticate')))],
    ['Basic realm="tokenkeep"'],
  )
})

test('a key that was just used by its client does not open for another id', async () => {
  const { world, key, other, form } = await openDoor()
  await using _ = world
  assert.equal((await world.postForm('token', { ...form, ...asClient(key) })).status, 200)
  const answer = await world.postForm('token', { ...form, client_id: other.id, client_secret: key.key })
  assert.equal(errorOf(answer), '401 invalid_client')
})

test('both halves of the header are form-encoded (RFC 6749 section 2.3.1)', async () => {
  const { world, key, form } = await openDoor()
  await using _ = world
  const encoded = (text: string): string => [...text].map((c) => `%${c.charCodeAt(0).toString(16)}`).join('')
  assert.equal((await world.postForm('token', form, basic(`${encoded(key.id)}:${encoded(key.key)}`))).status, 200)
})

test('the name of the scheme is compared without regard to case', async () => {
  const { world, key, form } = await openDoor()
  await using _ = world
  const authorization = asBasic(key).authorization.replace('Basic', 'bASIC ')
  assert.equal((await world.postForm('token', form, { headers: { authorization } })).status, 200)
})

test('a client that names itself in the body, and proves itself in the header, is one client', async () => {
  const { world, key, other, form } = await openDoor()
  await using _ = world
  const headers = asBasic(key)
  assert.equal((await world.postForm('token', { ...form, client_id: key.id }, { headers })).status, 200)
  const two = await world.postForm('token', { ...form, client_id: other.id }, { headers })
  assert.equal(errorOf(two), '400 invalid_request')
})

test('two proofs in one request are refused, be they both right (RFC 6749 section 2.3)', async () => {
  const { world, key, form } = await openDoor()
  await using _ = world
  const headers = asBasic(key)
  const answers = [
    await world.postForm('token', { ...form, ...asClient(key) }, { headers }),
    await world.postForm('token', { ...form, client_secret: key.key }, { headers }),
    await world.postForm('token', { ...form, client_assertion: 'x.y.z' }, { headers }),
    await world.postForm('token', { ...form, ...asClient(key), client_assertion: 'x.y.z' }),
  ]
  for (const answer of answers) {
    assert.equal(errorOf(answer), '400 invalid_request')
    assertTellsNothing(world, answer)
  }
})

test('a client without a secret is not served, and told why', async () => {
  const { world, key, form } = await openDoor()
  await using _ = world
  for (const answer of [
    await world.postForm('token', { ...form, client_id: key.id }),
    await world.postForm('token', { ...form, client_id: key.id, client_secret: '' }),
    await world.postForm('token', form, basic(`${key.id}:`)),
  ]) {
    assert.equal(errorOf(answer), '401 invalid_client')
    assert.match(String(answer.body['error_description']), /public clients are not served/)
  }
})

const UNREADABLE: readonly { readonly name: string; readonly authorization: string }[] = [
  { name: 'another scheme', authorization: 'Bearer KEY' },
  { name: 'the scheme alone', authorization: 'Basic' },
  { name: 'no base64', authorization: 'Basic ü$%&' },
  { name: 'base64 of nothing that has a colon', authorization: `Basic ${btoa('only-an-id')}` },
  { name: 'base64 without an id', authorization: `Basic ${btoa(':secret')}` },
  { name: 'an escape that is none', authorization: `Basic ${btoa('id%zz:secret')}` },
  { name: 'bytes that are no UTF-8', authorization: `Basic ${btoa('id:%FF')}` },
  { name: 'two of them', authorization: `Basic ${btoa('id:secret')}, Basic ${btoa('id:secret')}` },
]
for (const { name, authorization } of UNREADABLE) {
  test(`a header Authorization with ${name} is 401 invalid_client, with a challenge`, async () => {
    const { world, form } = await openDoor()
    await using _ = world
    const answer = await new Promise<string>((resolve, reject) => {
      // fetch does not send all of these.
      const headers = {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: Buffer.from(authorization).toString('latin1'),
      }
      const sent = request(world.tokenEndpoint(), { method: 'POST', headers }, (response) => {
        response.resume()
        resolve(`${response.statusCode} ${response.headers['www-authenticate']}`)
      })
      sent.on('error', reject)
      sent.end(new URLSearchParams(form).toString())
    })
    assert.equal(answer, '401 Basic realm="tokenkeep"')
  })
}

test('a client that does not say who it is, or proves it in a way that is not served, is 401 invalid_client', async () => {
  const { world, key, form } = await openDoor()
  await using _ = world
  const assertion = {
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: 'x.y.z',
  }
  assert.equal(errorOf(await world.postForm('token', form)), '401 invalid_client')
  assert.equal(
    errorOf(await world.postForm('token', { ...form, client_id: key.id, ...assertion })),
    '401 invalid_client',
  )
  const nameless = await world.postForm('token', { ...form, client_secret: key.key })
  assert.equal(errorOf(nameless), '400 invalid_request')
  assert.match(String(nameless.body['error_description']), /client_id is missing/)
})

test('a key without the scope token:read gets no token by either grant; one with admin does', async () => {
  await using world = await openServedWorld()
  await world.connect('dealer-42')
  const reader = await world.makeKey({ scopes: ['connections:read', 'keys:write'] })
  const refreshToken = await world.share('dealer-42', reader)
  assert.equal(errorOf(await world.refresh(reader, refreshToken)), '400 unauthorized_client')
  const own = await world.postForm('token', { grant_type: 'client_credentials', ...asClient(reader) })
  assert.equal(errorOf(own), '400 unauthorized_client')
  assert.equal((await world.refresh(world.admin, await world.share('dealer-42', world.admin))).status, 200)
})

test('too many requests of one client are 429 with Retry-After, and nothing that ends a login', async () => {
  await using world = await openServedWorld({ settings: { callerRequestsPer10s: 2 } })
  await world.connect('dealer-42')
  const key = await world.makeKey()
  const refreshToken = await world.share('dealer-42', key)
  const answers = []
  for (let call = 0; call < 4; call += 1) answers.push(await world.refresh(key, refreshToken))
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 429, 429],
  )
  const [, , limited] = answers
  assert.equal(limited?.body['error'], 'temporarily_unavailable')
  assert.match(limited?.headers.get('retry-after') ?? '', /^([1-9]|10)$/)
})

test('too many wrong keys from one address are 429; a right one from there is served', async () => {
  await using world = await openServedWorld({ settings: { wrongKeysPerMinute: 3 } })
  await world.connect('dealer-42')
  const key = await world.makeKey()
  const refreshToken = await world.share('dealer-42', key)
  const statuses = []
  for (let call = 0; call < 5; call += 1) {
    statuses.push((await world.refresh({ ...key, key: `tkk_${'A'.repeat(43)}` }, refreshToken)).status)
  }
  assert.deepEqual(statuses, [401, 401, 401, 429, 429])
  assert.equal((await world.refresh(key, refreshToken)).status, 200)
})

// ---- the request itself --------------------------------------------------------------------------------------------

test('parameters in the URL are refused, with a hint that they have been seen', async () => {
  const { world, key, form } = await openDoor()
  await using _ = world
  const own = new URLSearchParams({ ...form, ...asClient(key) }).toString()
  for (const [query, body] of [
    [own, ''],
    [own, own],
    ['scope=dealer-api', own],
    ['x', own],
  ]) {
    const response = await fetch(`${world.tokenEndpoint()}?${query}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: body ?? '',
    })
    const text = await response.text()
    assert.equal(response.status, 400)
    assert.match(text, /"invalid_request".*seen by the logs/)
    for (const secret of world.secrets) assert.equal(text.includes(secret), false)
  }
})

test('a question mark and nothing after it is no parameter', async () => {
  const { world, key, form } = await openDoor()
  await using _ = world
  const response = await fetch(`${world.tokenEndpoint()}?`, {
    method: 'POST',
    body: new URLSearchParams({ ...form, ...asClient(key) }),
  })
  assert.equal(response.status, 200)
})

const CONTENT_TYPES: readonly { readonly contentType: string | null; readonly status: number }[] = [
  { contentType: 'application/x-www-form-urlencoded', status: 200 },
  { contentType: 'application/x-www-form-urlencoded; charset=UTF-8', status: 200 },
  { contentType: 'Application/X-WWW-Form-URLencoded;charset=utf-8', status: 200 },
  { contentType: 'application/json', status: 400 },
  { contentType: 'text/plain', status: 400 },
  { contentType: 'multipart/form-data; boundary=x', status: 400 },
  { contentType: 'application/x-www-form-urlencoded-not', status: 400 },
  { contentType: 'nonsense', status: 400 },
  { contentType: null, status: 400 },
]
for (const { contentType, status } of CONTENT_TYPES) {
  test(`a body as ${contentType ?? 'nothing in particular'}: ${status}`, async () => {
    const { world, key, form } = await openDoor()
    await using _ = world
    const response = await fetch(world.tokenEndpoint(), {
      method: 'POST',
      headers: contentType === null ? {} : { 'content-type': contentType },
      body: Buffer.from(new URLSearchParams({ ...form, ...asClient(key) }).toString()),
    })
    const body = (await response.json()) as Record<string, unknown>
    assert.equal(response.status, status)
    assert.equal(body['error'], status === 200 ? undefined : 'invalid_request')
  })
}

test('no body at all is invalid_request', async () => {
  const { world } = await openDoor()
  await using _ = world
  const response = await fetch(world.tokenEndpoint(), { method: 'POST' })
  assert.equal(response.status, 400)
  assert.match(await response.text(), /application\/x-www-form-urlencoded/)
})

test('a duplicate of any parameter is invalid_request, and no secret is in the answer', async () => {
  const { world, key, form } = await openDoor()
  await using _ = world
  const own = new URLSearchParams({ ...form, ...asClient(key) }).toString()
  const duplicates = [
    'grant_type=refresh_token',
    `refresh_token=${form.refresh_token}`,
    `client_id=${key.id}`,
    `client_secret=${key.key}`,
    'scope=a&scope=b',
    'colour=red&colour=blue',
    `${form.refresh_token}&${form.refresh_token}`,
  ]
  for (const duplicate of duplicates) {
    const answer = await world.postForm('token', `${own}&${duplicate}`)
    assert.equal(errorOf(answer), '400 invalid_request')
    assertTellsNothing(world, answer)
  }
})

test('a body that is broken is invalid_request', async () => {
  const { world, key, form } = await openDoor()
  await using _ = world
  const own = new URLSearchParams({ ...form, ...asClient(key) }).toString()
  for (const broken of ['&x=%', '&x=%zz', '&x=%FF', '&x=ü', '\n']) {
    assert.equal(errorOf(await world.postForm('token', own + broken)), '400 invalid_request')
  }
})

test('a body beyond the limit is 413, announced or not, and the next request is served', async () => {
  const { world, key, form } = await openDoor()
  await using _ = world
  const huge = `x=${'a'.repeat(1024 * 1024)}`
  const announced = await world.postForm('token', huge)
  assert.equal(errorOf(announced), '413 invalid_request')
  const inChunks = await fetch(world.tokenEndpoint(), {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new Blob([huge]).stream(),
    duplex: 'half',
  })
  assert.equal(inChunks.status, 413)
  await inChunks.arrayBuffer()
  assert.equal((await world.postForm('token', { ...form, ...asClient(key) })).status, 200)
})

const INCOMPLETE: readonly {
  readonly form: Readonly<Record<string, string>>
  readonly error: string
  readonly says: RegExp
}[] = [
  { form: {}, error: '400 invalid_request', says: /^grant_type is missing$/ },
  { form: { grant_type: '' }, error: '400 invalid_request', says: /^grant_type is missing$/ },
  { form: { grant_type: 'refresh_token' }, error: '400 invalid_request', says: /^refresh_token is missing$/ },
  {
    form: { grant_type: 'refresh_token', refresh_token: '' },
    error: '400 invalid_request',
    says: /^refresh_token is missing$/,
  },
  { form: { grant_type: 'password' }, error: '400 unsupported_grant_type', says: /refresh_token, client_credentials/ },
  { form: { grant_type: 'Refresh_Token' }, error: '400 unsupported_grant_type', says: /./ },
  { form: { grant_type: 'constructor' }, error: '400 unsupported_grant_type', says: /./ },
  {
    form: { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer' },
    error: '400 unsupported_grant_type',
    says: /./,
  },
]
for (const { form, error, says } of INCOMPLETE) {
  test(`${JSON.stringify(form)}: ${error}`, async () => {
    const { world, key } = await openDoor()
    await using _ = world
    const answer = await world.postForm('token', { ...form, ...asClient(key) })
    assert.equal(errorOf(answer), error)
    assert.match(String(answer.body['error_description']), says)
  })
}

test('another method than POST is 405, and says which one it takes', async () => {
  await using world = await openServedWorld()
  for (const method of ['GET', 'PUT', 'DELETE']) {
    const response = await fetch(world.tokenEndpoint(), { method })
    assert.equal(response.status, 405)
    assert.equal(response.headers.get('allow'), 'POST')
    await response.arrayBuffer()
  }
})

test('a page of another origin, or another name of this host, is refused before anything is read', async () => {
  const { world, key, form } = await openDoor()
  await using _ = world
  const foreign = await world.postForm(
    'token',
    { ...form, ...asClient(key) },
    { headers: { origin: 'https://evil.example' } },
  )
  assert.equal(foreign.status, 403)
  assert.equal(foreign.body['code'], 'origin_refused')
  const named = await new Promise<number | undefined>((resolve, reject) => {
    const headers = { host: 'evil.example', 'content-type': 'application/x-www-form-urlencoded' }
    const sent = request(world.tokenEndpoint(), { method: 'POST', headers }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    sent.on('error', reject)
    sent.end(new URLSearchParams({ ...form, ...asClient(key) }).toString())
  })
  assert.equal(named, 421)
})

test('each token request is counted once, as what came of it', async () => {
  const { world, key, other, form } = await openDoor()
  await using _ = world
  const counted = async (sent: Readonly<Record<string, string>>): Promise<readonly string[]> => {
    const before = world.counted.length
    await world.postForm('token', sent)
    return world.counted.slice(before)
  }
  const own = { ...form, ...asClient(key) }
  const ok = ['handOut drop_in ok', 'answered dropInToken 200']
  const failed = (code: string) => [`handOut drop_in ${code}`, `refused ${code}`, 'answered dropInToken 400']
  assert.deepEqual(await counted(own), ok)
  assert.deepEqual(await counted(own), ok)
  assert.deepEqual(await counted({ ...own, ...asClient(other) }), failed('unknown_local_refresh_token'))
  assert.deepEqual(await counted({ ...own, scope: 'profile' }), failed('scope_refused'))
  assert.deepEqual(await counted({ ...own, refresh_token: '' }), failed('invalid_input'))
  assert.deepEqual(await counted({ ...own, grant_type: 'client_credentials' }), failed('unknown_connection'))
  // Nobody was asked for a token here.
  assert.deepEqual(await counted({ ...own, client_secret: 'wrong' }), [
    'refused unauthorized',
    'answered dropInToken 401',
  ])
  assert.deepEqual(await counted({ ...own, grant_type: 'password' }), [
    'refused invalid_input',
    'answered dropInToken 400',
  ])
})
