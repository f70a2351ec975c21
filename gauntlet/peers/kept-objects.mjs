// For libraries whose object keeps a login in memory and joins its callers: one object for each login and process, made
// anew from the file when its token has ended, unless somebody is calling it. Otherwise it would never see what another
// process has stored.
const kept = new Map()

/**
 * @param {string} id
 * @param {() => any} make reads the file
 * @param {(made: any) => Promise<{ token: string, endsAt: number }>} ask
 */
export async function askKept(id, make, ask) {
  let one = kept.get(id)
  if (one === undefined || (one.callers === 0 && Date.now() >= one.endsAt)) {
    one = { made: make(), callers: 0, endsAt: 0 }
    kept.set(id, one)
  }
  one.callers += 1
  try {
    const { token, endsAt } = await ask(one.made)
    one.endsAt = endsAt
    return token
  } finally {
    one.callers -= 1
  }
}
