/** Where a browser ended. */
export interface Page {
  readonly url: string
  readonly status: number
  readonly text: string
}

/** Where redirects took a browser out of the flow. */
export interface Left {
  readonly left: URL
}

/** A browser with as much sense as a sign-in needs: cookies, redirects, one form. */
export class Browser {
  readonly #cookies = new Map<string, string>()

  /** Asks for one page, or submits `form` to it, and follows no redirect. */
  async visit(url: string, form: Readonly<Record<string, string>> | null = null): Promise<Response> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie, accept: 'text/html', ...(form ? { origin: new URL(url).origin } : {}) },
      ...(form ? { method: 'POST', body: new URLSearchParams(form) } : {}),
    })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '' || /expires=Thu, 01 Jan 1970/i.test(line)) this.#cookies.delete(name)
      else this.#cookies.set(name, value)
    }
    return response
  }

  /**
   * Follows redirects until a page comes, or until they lead to `until`.
   * @throws {Error} after 15 redirects
   */
  async follow(start: string, until?: string): Promise<Page | Left> {
    for (let url = start, hops = 0; hops < 15; hops++) {
      const response = await this.visit(url)
      const location = response.headers.get('location')
      if (location === null) return { url, status: response.status, text: await response.text() }
      url = new URL(location, url).href
      if (until !== undefined && url.startsWith(until)) return { left: new URL(url) }
    }
    throw new Error('too many redirects')
  }

  /**
   * Signs in at the development authorization server, and goes where that sends it.
   * @param login the subject to sign in as
   * @param until where following ends, as the start of an address: the callback of a client, say
   * @throws {Error} when what comes is no sign-in page
   */
  async signIn(url: string, login: string, until?: string): Promise<Page | Left> {
    const first = await this.follow(url, until)
    if ('left' in first) return first
    if (first.status !== 200 || !first.text.includes('<input name="login"'))
      throw new Error(`this is no sign-in page: ${first.status} ${first.text}`)
    const submitted = await this.visit(first.url, { login })
    const next = new URL(submitted.headers.get('location') ?? '', first.url).href
    return until !== undefined && next.startsWith(until) ? { left: new URL(next) } : this.follow(next, until)
  }
}
