// The life of a program that keeps its login in a JSON file beside others that use the same one. `refresh` is what its
// OAuth client does.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

const { TOKEN_FILE, API_URL, EXPIRIES } = process.env

/** @param {(refreshToken: string) => Promise<object>} refresh */
export async function live(refresh) {
  let granted = 0
  let bad = 0
  let last = ''
  const report = (lost) => console.log(JSON.stringify({ granted, bad, lost }))
  while (granted < Number(EXPIRIES)) {
    const login = await currentLogin(refresh)
    if (typeof login === 'string') return report(login)
    // Another process may have written the same one again.
    if (login.access_token !== last) granted += 1
    last = login.access_token
    const { status } = await fetch(API_URL, { headers: { authorization: `Bearer ${login.access_token}` } })
    if (status !== 200 && Date.now() < login.expires_at * 1000) bad += 1
    // And a little, for a timer can be early by as much.
    await pause(Math.max(0, login.expires_at * 1000 - Date.now()) + 2)
  }
  report(null)
}

async function currentLogin(refresh) {
  let said = ''
  for (let tries = 0; tries < 3; tries += 1) {
    // Another process may have written a new login meanwhile.
    if (tries > 0) await pause(1000)
    const login = JSON.parse(readFileSync(TOKEN_FILE, 'utf8'))
    if (Date.now() < login.expires_at * 1000) return login
    try {
      const answer = await refresh(login.refresh_token)
      const { access_token, refresh_token = login.refresh_token } = answer
      const renewed = { access_token, refresh_token, expires_at: Date.now() / 1000 + answer.expires_in }
      writeFileSync(`${TOKEN_FILE}.${process.pid}`, JSON.stringify(renewed))
      renameSync(`${TOKEN_FILE}.${process.pid}`, TOKEN_FILE)
      return renewed
    } catch (error) {
      said = error.error ?? error.errorCode ?? error.message
    }
  }
  return said
}
