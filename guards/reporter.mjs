// Says of each test, in a line of JSON, how it ended: for `test-process.ts`, which knows the form.
// Node takes a reporter as the default export of its module, which our TypeScript has not.
export default async function* reporter(events) {
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue
    const { name, details, skip } = data
    // A suite ends as its tests do, and a test that was not asked for says nothing.
    if (details.type === 'suite' || skip !== undefined) continue
    const failure = details.error?.cause ?? details.error
    const because = String(failure?.message ?? failure ?? '')
      .replaceAll(/\s+/g, ' ')
      .trim()
      .slice(0, 300)
    yield `${JSON.stringify({ name, passed: type === 'test:pass', because })}\n`
  }
}
