/**
 * A second copy of a module, for the noise floor: another instance with functions of its own, which the compiler treats
 * apart. The text is the same by nature and cannot drift.
 *
 * @param url of the module
 */
export const secondCopy = async <Module>(url: URL): Promise<Module> => (await import(`${url.href}?copy`)) as Module
