/** Whether a connection could have this text as its subject or session: what none can have names none. */
export const keepable = (text: string): boolean => text !== '' && text.length <= 200 && !/\p{C}/u.test(text)
