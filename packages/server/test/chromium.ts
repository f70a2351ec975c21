/** A real browser, with the security of one: the flags that its package brings for small machines would take that away. */
import chromium from '@sparticuz/chromium'
import { chromium as playwright, type Browser } from 'playwright-core'

const WEAKER =
  /^--(?:disable-web-security|allow-running-insecure-content|single-process|no-zygote|disable-site-isolation-trials|disable-features=.*)$/

export async function launchChromium(): Promise<Browser> {
  return playwright.launch({
    executablePath: await chromium.executablePath(),
    args: chromium.args.filter((arg) => !WEAKER.test(arg)),
    headless: true,
  })
}
