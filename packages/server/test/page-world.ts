/** The page in a real browser, in front of the world of the API's tests. Everything that it must not do is looked for. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import axe from 'axe-core'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { openApiWorld, type ApiWorld } from './api-world.ts'
import { launchChromium } from './chromium.ts'
import type { ServedWorldOptions } from './served-world.ts'

export interface PageWorld extends AsyncDisposable {
  readonly api: ApiWorld
  readonly browser: Browser
  /** A person with a browser of their own, not signed in. */
  person(options?: BrowserContextOptions): Promise<Person>
  /** What the pages did that they must not: errors, broken policies, requests to others, tokens that came. */
  readonly faults: readonly string[]
  /** Every answer that a browser got. */
  readonly answers: readonly Got[]
}

export interface Got {
  /** Method and address. */
  readonly from: string
  readonly text: string
}

export interface Person {
  readonly context: BrowserContext
  readonly page: Page
  /** Opens the page at a place, `#/connections`, as a link does. */
  go(hash: string): Promise<void>
  /** By the code of a terminal, with this key's id; that of `admin` where absent. */
  enter(apiKey?: string): Promise<void>
  /** @returns what axe-core finds wrong, one line each */
  wrongForSome(only?: 'colours'): Promise<readonly string[]>
}

const PATIENCE_MS = 10_000
/** What Chromium says of every answer from 400 on, and of none when a server is gone. */
const OF_ANSWERS = /^Failed to load resource: /

/** Of these sources: a test that looked at an older page would prove nothing. */
export async function buildPage(): Promise<void> {
  await promisify(execFile)(process.execPath, [fileURLToPath(new URL('../../../scripts/page.mjs', import.meta.url))])
}

export async function openPageWorld(options: ServedWorldOptions = {}): Promise<PageWorld> {
  const [api, browser] = await Promise.all([openApiWorld(options), launchChromium(), buildPage()])
  const faults: string[] = []
  const answers: Got[] = []
  return {
    api,
    browser,
    faults,
    answers,
    person: (more) => personIn(browser, { api, faults, answers, more }),
    async [Symbol.asyncDispose]() {
      await browser.close()
      await api[Symbol.asyncDispose]()
    },
  }
}

async function personIn(
  browser: Browser,
  of: {
    readonly api: ApiWorld
    readonly faults: string[]
    readonly answers: Got[]
    readonly more: BrowserContextOptions | undefined
  },
): Promise<Person> {
  const { api, faults, answers } = of
  const context = await browser.newContext({
    locale: 'en-GB',
    timezoneId: 'UTC',
    viewport: { width: 1280, height: 860 },
    ...of.more,
  })
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  watch(page, { url: api.url, faults, answers, secrets: api.world.secrets })
  return {
    context,
    page,
    async go(hash) {
      await page.goto(`${api.url}/${hash}`)
    },
    async enter(apiKey = api.world.admin.id) {
      await page.goto(`${api.url}${api.app.entry(apiKey)}`)
      await page.getByRole('navigation', { name: 'Pages' }).waitFor()
    },
    wrongForSome: (only) => violationsOn(page, only),
  }
}

export function watch(
  page: Page,
  of: {
    readonly url: string
    readonly faults: string[]
    readonly answers: Got[]
    readonly secrets: ReadonlySet<string>
  },
): void {
  const { faults } = of
  page.on('pageerror', (error) => faults.push(`an error: ${error.message}`))
  page.on('console', (message) => {
    if (message.type() === 'error' && !OF_ANSWERS.test(message.text())) faults.push(`said: ${message.text()}`)
  })
  page.on('request', (request) => {
    const url = request.url()
    if (!url.startsWith(`${of.url}/`) && !url.startsWith('data:')) faults.push(`asked somebody else: ${url}`)
    for (const secret of of.secrets)
      if (url.includes(secret)) faults.push(`a secret in an address: ${new URL(url).pathname}`)
  })
  page.on('response', (response) => {
    const from = `${response.request().method()} ${response.url()}`
    // A redirect has no body, nor has what was left behind when the page went on.
    void response.text().then(
      (text) => of.answers.push({ from, text }),
      () => undefined,
    )
  })
}

/** In a world of its own: the policy of the page would rightly not let the test's script in. */
async function violationsOn(page: Page, only: 'colours' | undefined): Promise<readonly string[]> {
  const session = await page.context().newCDPSession(page)
  try {
    const { frameTree } = await session.send('Page.getFrameTree')
    const { executionContextId: contextId } = await session.send('Page.createIsolatedWorld', {
      frameId: frameTree.frame.id,
      worldName: 'axe',
    })
    const run = async (expression: string): Promise<unknown> => {
      const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
        contextId,
        expression,
        awaitPromise: true,
        returnByValue: true,
      })
      assert.equal(exceptionDetails, undefined, exceptionDetails?.exception?.description)
      return result.value
    }
    await run(`${axe.source}; 0`)
    const text = await run(
      `axe.run(document, { resultTypes: ['violations']${only === undefined ? '' : ", runOnly: ['color-contrast']"} }).then(({ violations }) => JSON.stringify(violations.flatMap(({ id, help, nodes }) => nodes.map(({ target, failureSummary }) => id + ': ' + help + ' ' + target.join(' ') + ' ' + failureSummary))))`,
    )
    return JSON.parse(String(text)) as string[]
  } finally {
    await session.detach()
  }
}
