import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { CLIENT, OWN_CREDENTIALS, type TokenReply, type Trial } from './trial.ts'

export const CALLBACK = 'http://127.0.0.1:9/callback'
export const WEB_CLIENT = { ...CLIENT, redirectUris: [CALLBACK] }
export const PUBLIC_CLIENT = { clientId: 'spa', tokenEndpointAuthMethod: 'none', redirectUris: [CALLBACK] } as const

/** A browser with as much sense as the flow needs: cookies, redirects, one form. */
export class Browser {
  readonly #cookies = new Map<string, string>()

  async visit(url: string, form: Readonly<Record<string, string>> | null = null): Promise<Response> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie, accept: 'text/html' },
      ...(form ? { method: 'POST', body: new URLSearchParams(form) } : {}),
    })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '' || /expires=Thu, 01 Jan 1970/i.test(line)) this.#cookies.delete(name)
      else this.#cookies.set(name, value)
    }
    return response
  }

  /** Follows redirects until a page comes, or until they lead away to the client. */
  async follow(start: string): Promise<{ page: Response; url: string } | { left: URL }> {
    for (let url = start, hops = 0; hops < 10; hops++) {
      const response = await this.visit(url)
      const location = response.headers.get('location')
      if (location === null) return { page: response, url }
      url = new URL(location, url).href
      if (url.startsWith(CALLBACK)) return { left: new URL(url) }
    }
    throw new Error('too many redirects')
  }
}

export function authorization(trial: Trial, more: Readonly<Record<string, string>> = {}) {
  const verifier = randomBytes(32).toString('base64url')
  const url = new URL(`${trial.devserver.issuer('external')}/protocol/openid-connect/auth`)
  url.search = new URLSearchParams({
    client_id: 'app',
    response_type: 'code',
    redirect_uri: CALLBACK,
    scope: 'openid dealer-api',
    state: 'st',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...more,
  }).toString()
  return { url: url.href, verifier }
}

export async function signIn(browser: Browser, url: string, login: string): Promise<URL> {
  const first = await browser.follow(url)
  if ('left' in first) return first.left
  assert.equal(first.page.status, 200)
  assert.match(await first.page.text(), /<input name="login"/)
  const submitted = await browser.visit(first.url, { login })
  const resumed = await browser.follow(new URL(submitted.headers.get('location') ?? '', first.url).href)
  assert.ok('left' in resumed)
  return resumed.left
}

export function redeem(
  trial: Trial,
  code: string,
  verifier: string,
  client: Readonly<Record<string, string>> = OWN_CREDENTIALS,
): Promise<TokenReply> {
  return trial.post('token', {
    grant_type: 'authorization_code',
    ...client,
    code,
    redirect_uri: CALLBACK,
    code_verifier: verifier,
  })
}
