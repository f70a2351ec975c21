import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { Page } from 'playwright-core'
import { openPageWorld, type Person } from './page-world.ts'

const world = await openPageWorld()
after(() => world[Symbol.asyncDispose]())
const { api } = world
const { keep } = api
const { admin } = api.world

const SCRIPT = '<img src=x onerror="document.title=\'broken\'"><script>document.title="broken"</script>'
await api.world.connect('dealer-42', { subject: 'anna' }, { labels: { team: 'sales', note: SCRIPT.slice(0, 200) } })
await api.world.connect('dealer-43', { subject: 'ben' }, { labels: { team: 'support' } })
await keep.connections.import({ id: 'ended', client: 'app', accessToken: 'at-ended', expiresAt: Date.now() - 1000 })
await keep.token('ended').catch(() => undefined)

async function signedIn(): Promise<Person> {
  const person = await world.person()
  await person.enter()
  return person
}
const heading = (page: Page, name: string) => page.getByRole('heading', { level: 1, name })

test('a person signs in with a key by the keyboard alone, is told of a wrong one, and signs out', async () => {
  const person = await world.person()
  const { page } = person
  await person.go('#/connections?status=needs_user')
  await page.getByLabel('API key').waitFor()
  await page.keyboard.type(`tkk_${'A'.repeat(43)}`)
  await page.keyboard.press('Enter')
  await page.getByRole('alert').getByText('This API key is not known here').waitFor()
  await page.keyboard.press('Control+A')
  await page.keyboard.type(admin.key)
  await page.keyboard.press('Enter')
  await page.getByRole('link', { name: 'ended' }).waitFor()
  assert.equal(
    await page.getByRole('link', { name: 'dealer-42' }).count(),
    0,
    'the link that was followed is where they are',
  )
  assert.equal(await page.title(), 'Connections · Tokenkeep')
  assert.deepEqual(await page.evaluate('document.cookie'), '', 'no script reads the session')
  assert.deepEqual(await page.evaluate('[localStorage.length, sessionStorage.length]'), [0, 0])
  await page.getByRole('button', { name: 'Sign out' }).press('Enter')
  await page.getByText('You are signed out.').waitFor()
  assert.deepEqual(await person.context.cookies(), [])
  await person.context.close()
})

test('a code of the terminal signs a browser in once; nothing of it stays in the address', async () => {
  const person = await world.person()
  const place = api.app.entry(admin.id)
  await person.page.goto(`${api.url}${place}`)
  await heading(person.page, 'Overview').waitFor()
  assert.equal(person.page.url(), `${api.url}/#/`)
  await person.context.close()
  const other = await world.person()
  await other.page.goto(`${api.url}${place}`)
  await other.page.getByText('this link was used already', { exact: false }).waitFor()
  await other.context.close()
})

test('the overview says how many work, and who needs somebody and why', async () => {
  const { page, context } = await signedIn()
  await page.getByText('2 of 3 connections work, 1 needs a person.').waitFor()
  const attention = page.locator('.card', { hasText: 'Needs attention' })
  await attention.getByText('There never was a refresh token, and the access token has ended.').waitFor()
  await attention.getByRole('link', { name: 'ended' }).click()
  await heading(page, 'ended').waitFor()
  await page.getByText('Nothing happens by itself.').waitFor()
  await context.close()
})

test('the list is searched and filtered, in the address too, and walked with the arrow keys', async () => {
  const person = await signedIn()
  const { page } = person
  await person.go('#/connections')
  await page.getByRole('link', { name: 'dealer-43' }).waitFor()
  await page.getByLabel('Label').fill('team=sales')
  await page.getByRole('link', { name: 'dealer-43' }).waitFor({ state: 'detached' })
  assert.match(page.url(), /#\/connections\?label=team%3Dsales$/)
  await page.goBack()
  await page.getByRole('link', { name: 'dealer-43' }).waitFor()
  await page.getByLabel('Status').selectOption('needs_user')
  await page.getByRole('link', { name: 'dealer-43' }).waitFor({ state: 'detached' })
  await page.getByLabel('Search').fill('dealer-4')
  await page.getByText('No connection is like that.').waitFor()
  await page.getByLabel('Search').fill('end')
  await page.getByRole('link', { name: 'ended' }).waitFor()
  await page.getByLabel('Label').fill('nonsense')
  await page.getByRole('alert').getByText('is NAME=VALUE', { exact: false }).waitFor()
  await person.go('#/connections?label=team%3Dnobody')
  await page.getByText('No connection is like that.').waitFor()
  await page.getByRole('link', { name: 'Show all' }).click()
  await page.getByRole('link', { name: 'dealer-42' }).focus()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await heading(page, 'dealer-43').waitFor()
  await person.context.close()
})

test('what somebody wrote into a label or an id is shown as text', async () => {
  const person = await signedIn()
  await person.go('#/connections/dealer-42')
  await person.page.getByText(SCRIPT.slice(0, 200)).waitFor()
  await person.go(`#/connections/${encodeURIComponent('<script>document.title="broken"</script>')}`)
  await person.page.getByRole('alert').waitFor()
  assert.equal(await person.page.locator('main img, main script').count(), 0)
  assert.doesNotMatch(await person.page.title(), /^broken/)
  await person.context.close()
})

test('one connection shows its refreshes as they happen', async () => {
  const person = await signedIn()
  const { page } = person
  await person.go('#/connections/dealer-43')
  await page.getByText('Nothing was presented yet.').waitFor()
  const { accessToken } = await keep.token('dealer-43')
  await keep.rejected('dealer-43', accessToken)
  await keep.token('dealer-43')
  await page.getByRole('table').getByText('granted').waitFor()
  await page.getByRole('img', { name: /^Timeline: 2 access tokens, 1 presentation; next: refresh due in / }).waitFor()
  await page.getByRole('button', { name: '24 hours' }).click()
  assert.equal(await page.getByRole('button', { name: '24 hours' }).getAttribute('aria-pressed'), 'true')
  await person.context.close()
})

test('a reconnect link is made, shown once, and followed by what the person does', async () => {
  const person = await signedIn()
  const { page } = person
  await person.go('#/connections/ended')
  await page.getByRole('button', { name: 'Reconnect link' }).click()
  const question = page.getByRole('dialog')
  await question.getByRole('button', { name: 'Make the link' }).click()
  const link = await page.locator('dialog output').textContent()
  assert.match(link ?? '', /^http:\/\/127\.0\.0\.1:\d+\/connect\/tkc_[\w-]{43}$/)
  await page.getByText('Nobody has opened it yet.').waitFor()
  await page.getByRole('button', { name: 'Close' }).click()
  await question.waitFor({ state: 'detached' })
  await person.context.close()
})

test('a connection in doubt is presented when somebody says so, and asks before', async () => {
  const { control } = api.world.upstream
  await api.world.connectExpired('doubtful')
  await control.addFault({ fault: { kind: 'status', status: 500 }, when: 'before', times: 20 })
  await keep.token('doubtful', { waitMs: 3000 }).catch(() => undefined)
  await control.clearFaults()
  const person = await signedIn()
  const { page } = person
  await person.go('#/connections/doubtful')
  await page
    .getByLabel('State')
    .getByText('The refresh token was perhaps sent, and no answer came.', { exact: false })
    .waitFor()
  await page.getByRole('button', { name: 'Present now' }).click()
  await page.getByRole('dialog').getByText('a second presentation ends the sign-in', { exact: false }).waitFor()
  await page.getByRole('dialog').getByRole('button', { name: 'Present it now, once' }).click()
  await page.getByLabel('State').getByText('It works.', { exact: false }).waitFor()
  await person.context.close()
})

test('a connection is revoked by the keyboard alone, and not before somebody said yes', async () => {
  await api.world.connect('leaving')
  const person = await signedIn()
  const { page } = person
  await person.go('#/connections/leaving')
  await page.getByRole('button', { name: 'Revoke' }).focus()
  await page.keyboard.press('Enter')
  const question = page.getByRole('dialog', { name: 'Revoke leaving?' })
  await question.waitFor()
  await page.keyboard.press('Escape')
  await question.waitFor({ state: 'detached' })
  assert.equal((await keep.connections.get('leaving')).status, 'ready')
  await page.getByRole('button', { name: 'Revoke' }).focus()
  await page.keyboard.press('Enter')
  await question.getByRole('button', { name: 'Revoke and erase' }).focus()
  await page.keyboard.press('Enter')
  await heading(page, 'Connections').waitFor()
  await assert.rejects(() => keep.connections.get('leaving'), { code: 'unknown_connection' })
  await person.context.close()
})

test('a key is made, shown once, and revoked; whoever is signed in with it is out', async () => {
  const person = await signedIn()
  const { page } = person
  await person.go('#/keys')
  await page.getByRole('button', { name: 'New key' }).click()
  await page.getByLabel('Name').fill('a colleague')
  await page.getByLabel('see connections').check()
  await page.getByRole('button', { name: 'Make the key' }).click()
  await page.getByText('It is shown now, and never again.').waitFor()
  const key = (await page.locator('dialog output').textContent()) ?? ''
  assert.match(key, /^tkk_[\w-]{43}$/)
  await page.getByRole('button', { name: 'I have it' }).click()
  const colleague = await world.person()
  await colleague.go('')
  await colleague.page.getByLabel('API key').fill(key)
  await colleague.page.getByRole('button', { name: 'Sign in' }).click()
  await colleague.page.getByText('connections work').waitFor()
  assert.equal(
    await colleague.page.getByRole('link', { name: 'API keys' }).count(),
    0,
    'what it may not is not offered',
  )
  await colleague.go('#/connections/dealer-42')
  await colleague.page.getByRole('heading', { name: 'Timeline' }).waitFor()
  assert.equal(await colleague.page.getByRole('button', { name: 'Revoke' }).count(), 0)

  await page.getByRole('button', { name: 'Revoke a colleague' }).click()
  await page.getByRole('button', { name: 'Revoke the key' }).click()
  await page.getByRole('row', { name: 'a colleague' }).waitFor({ state: 'detached' })
  await colleague.page.getByText('Your session is over, or its key is.', { exact: false }).waitFor()
  await page.getByRole('button', { name: 'Show the 1 revoked' }).click()
  await page.getByRole('row', { name: /a colleague .* revoked/ }).waitFor()
  await person.context.close()
  await colleague.context.close()
})

test('providers and clients are shown with what they are set to', async () => {
  const person = await signedIn()
  await person.go('#/providers')
  await person.page.getByText('client_secret_post').waitFor()
  await person.page.getByText('32 at once').waitFor()
  await person.context.close()
})

test('when the server is gone, the page says so and how old it is; when it is back, the page goes on', async () => {
  const person = await signedIn()
  await person.page.getByText('connections work').waitFor()
  await person.context.setOffline(true)
  await person.page.getByText(/What you see is (?:now|\d+ s) old\./).waitFor()
  await person.page.getByText('connections work').waitFor()
  await person.context.setOffline(false)
  await person.page.getByText('The server does not answer.').first().waitFor({ state: 'detached' })
  await person.context.close()
})

test('an address that leads nowhere says so', async () => {
  const person = await signedIn()
  await person.go('#/nowhere/at/all')
  await person.page.getByText('This address leads nowhere.').waitFor()
  await person.context.close()
})

test('in all of this no page erred, broke its policy, asked another host, or got a token', async () => {
  assert.deepEqual(world.faults, [])
  const tokens = await Promise.all(['dealer-42', 'dealer-43'].map(async (id) => (await keep.token(id)).accessToken))
  const secrets = [...api.world.secrets, ...tokens]
  assert.ok(world.answers.length > 100 && secrets.length > 5, 'the control')
  for (const { from, text } of world.answers)
    for (const secret of secrets) assert.ok(!text.includes(secret), `a secret came to the page: ${from}`)
})
