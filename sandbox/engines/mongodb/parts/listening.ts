/** What a server process says first, once it takes connections. */
export const listening = 'waiting for connections'
