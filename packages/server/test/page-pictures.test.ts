/**
 * Every page in dark and light, on a wall and on a phone: as it should look, read by axe-core, and photographed for the documents.
 *
 * What the server says is the same each time, so that a picture changes only when the page does. It is taken anew only then:
 * the fonts are those of the machine.
 */
import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { openPageWorld, type Person } from './page-world.ts'
import { answerIn, LONG_ID, NOW, type Scene } from './page-scene.ts'

const world = await openPageWorld()
after(() => world[Symbol.asyncDispose]())

/** Each with what is different about it; what is only emptier is not looked at twice. */
const PAGES: readonly (readonly [name: string, place: string, scene: Scene, inTheDark?: 'too'])[] = [
  ['overview', '#/', 'usual', 'too'],
  ['overview-quiet', '#/', 'quiet'],
  ['overview-empty', '#/', 'empty'],
  ['connections', '#/connections', 'usual', 'too'],
  ['connections-empty', '#/connections?label=team%3Dnobody', 'empty'],
  ['connection', '#/connections/dealer-42', 'usual'],
  ['connection-needs-a-person', '#/connections/dealer-44', 'usual'],
  ['connection-in-doubt', '#/connections/crm-us', 'usual', 'too'],
  ['connection-long', `#/connections/${encodeURIComponent(LONG_ID)}`, 'usual'],
  ['providers', '#/providers', 'usual', 'too'],
  ['keys', '#/keys', 'usual', 'too'],
  ['nowhere', '#/nowhere', 'usual'],
]
/** What the documents show, with the look of it. */
const SHOWN = ['overview light', 'overview dark', 'connection light', 'connections dark', 'connection-in-doubt dark']

const FOLDER = new URL('../../../docs/images/', import.meta.url)
const MARK = new URL('sources', FOLDER)
const built = hash(
  'sha256',
  [new URL('../page/sources', import.meta.url), new URL('page-scene.ts', import.meta.url)]
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n'),
)
const isNew = (() => {
  try {
    return readFileSync(MARK, 'utf8') !== built
  } catch {
    return true
  }
})()

let scene: Scene = 'usual'
async function onlooker(options: Parameters<typeof world.person>[0]): Promise<Person> {
  const person = await world.person({ reducedMotion: 'reduce', ...options })
  await person.context.clock.setFixedTime(NOW)
  await person.context.route('**/v1/**', (route) => {
    const answer = answerIn(scene, new URL(route.request().url()))
    const headers = { date: new Date(NOW).toUTCString() }
    return answer === null
      ? route.fulfill({
          status: 404,
          headers,
          json: { code: 'unknown_route', detail: 'there is nothing at this path.' },
        })
      : route.fulfill({ headers, json: answer })
  })
  return person
}

async function look(person: Person, [, place, of]: (typeof PAGES)[number]): Promise<void> {
  scene = of
  // Another place in one document is no new page to it; this is one.
  await person.page.goto('about:blank')
  await person.go(place)
  await person.page.locator('#title').waitFor()
  await person.page.getByText('Asking the server…').first().waitFor({ state: 'detached' })
}

for (const colorScheme of ['light', 'dark'] as const) {
  test(`every page can be read by everybody, and is photographed, in ${colorScheme}`, async () => {
    const person = await onlooker({ colorScheme })
    const wrong: string[] = []
    for (const each of PAGES) {
      const [name, , , inTheDark] = each
      if (colorScheme === 'dark' && inTheDark === undefined) continue
      await look(person, each)
      for (const one of await person.wrongForSome(colorScheme === 'dark' ? 'colours' : undefined))
        wrong.push(`${name}: ${one}`)
      await keepPicture(`${name} ${colorScheme}`, person)
    }
    await person.context.close()
    assert.deepEqual(wrong, [])
  })
}

test('what nobody could read would be found', async () => {
  const person = await onlooker({})
  await look(person, ['', '#/keys', 'usual'])
  await person.page.evaluate("document.querySelector('main').append(document.createElement('button'))")
  assert.match((await person.wrongForSome()).join(), /^button-name: /)
  await person.context.close()
})

test('the door and the questions can be read by everybody, in dark and light', async () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    const stranger = await world.person({ colorScheme })
    await stranger.go('')
    await stranger.page.getByLabel('API key').waitFor()
    assert.deepEqual(await stranger.wrongForSome(), [])
    await stranger.context.close()
    const person = await onlooker({ colorScheme })
    await look(person, ['', '#/connections/crm-us', 'usual'])
    for (const name of ['Present now', 'Reconnect link', 'Revoke']) {
      await person.page.getByRole('button', { name }).click()
      await person.page.getByRole('dialog').waitFor()
      // The questions are made of the same parts.
      if (name === 'Revoke')
        assert.deepEqual(await person.wrongForSome(colorScheme === 'dark' ? 'colours' : undefined), [])
      await person.page.keyboard.press('Escape')
      await person.page.getByRole('dialog').waitFor({ state: 'detached' })
    }
    await look(person, ['', '#/keys', 'usual'])
    await person.page.getByRole('button', { name: 'New key' }).click()
    assert.deepEqual(await person.wrongForSome(colorScheme === 'dark' ? 'colours' : undefined), [])
    await person.context.close()
  }
})

test('on a phone of 360 pixels nothing has to be pushed sideways', async () => {
  const person = await onlooker({ viewport: { width: 360, height: 760 }, colorScheme: 'dark' })
  const wide: string[] = []
  for (const each of PAGES) {
    await look(person, each)
    const width = await person.page.evaluate<number>('document.scrollingElement.scrollWidth')
    if (width > 360) wide.push(`${each[0]}: ${width}`)
    await keepPicture(`${each[0]} phone`, person)
  }
  await person.context.close()
  assert.deepEqual(wide, [])
})

test('no page erred or asked anybody else', () => {
  assert.deepEqual(world.faults, [])
})

async function keepPicture(name: string, { page }: Person): Promise<void> {
  // All of them, for whoever works on the page.
  const all = process.env['TOKENKEEP_PICTURES']
  const isShown = isNew && SHOWN.includes(name)
  if (all === undefined && !isShown) return
  const picture = await page.screenshot({ fullPage: true })
  assert.ok(picture.length > 8_000, `${name} is not blank`)
  if (all !== undefined) writeFileSync(`${all}/${name.replace(' ', '-')}.png`, picture)
  if (!isShown) return
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(new URL(`${name.replace(' light', '').replace(' ', '-')}.png`, FOLDER), picture)
}
after(() => {
  if (isNew) writeFileSync(MARK, built)
})
