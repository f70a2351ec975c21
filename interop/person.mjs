// A person at a browser, a real Chromium: opens an address, does what the pages ask for, and reads the one on which that
// ends. Prints {"title","text","version","asked"}. Cookies are kept in a file, so that the same browser can go on later.
import { existsSync } from 'node:fs'
import chromium from '@sparticuz/chromium'
import { chromium as playwright } from 'playwright-core'

const { url, user, cookies, code, says, screenshot } = JSON.parse(process.argv[2])
/** Tokenkeep's button, and those of Keycloak's forms: to sign in, to hand in a code, to allow, to sign out. */
const BUTTON = 'main > form > button, #kc-login, #kc-logout'
const NO = '#kc-cancel'
const PAGES_MOST = 6
const PATIENCE_MS = 60_000

const browser = await playwright.launch({
  executablePath: await chromium.executablePath(),
  args: chromium.args,
  headless: true,
})
try {
  const context = await browser.newContext({
    viewport: { width: 800, height: 480 },
    ...(existsSync(cookies) ? { storageState: cookies } : {}),
  })
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  // Of each authorization request the names of what the browser carries, and no value.
  const asked = []
  page.on('request', (request) => {
    const { pathname, searchParams } = new URL(request.url())
    if (request.isNavigationRequest() && pathname.endsWith('/openid-connect/auth')) asked.push([...searchParams.keys()])
  })
  await page.goto(url)
  for (let seen = 1; (await page.locator(BUTTON).count()) > 0; seen += 1) {
    if (seen === PAGES_MOST) throw new Error(`the pages have no end: the ${seen}th is "${await page.title()}"`)
    const isLogin = (await page.locator('#username').count()) > 0
    if (isLogin) {
      await page.fill('#username', user.username)
      await page.fill('#password', user.password)
    }
    const asksForCode = (await page.locator('[name=device_user_code]').count()) > 0
    if (asksForCode) await page.fill('[name=device_user_code]', code)
    const isNo = says === 'no' && (await page.locator(NO).count()) > 0
    const came = page.waitForEvent('domcontentloaded')
    await page
      .locator(isNo ? NO : BUTTON)
      .first()
      .click()
    await came
  }
  if (screenshot !== undefined) await page.screenshot({ path: screenshot })
  const text = (await page.locator('body').innerText()).replace(/\s+/g, ' ').trim()
  await context.storageState({ path: cookies })
  console.log(JSON.stringify({ title: await page.title(), text, version: browser.version(), asked }))
} finally {
  await browser.close()
}
