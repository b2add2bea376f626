/** The database that the users of bindings are made in, whatever they may do elsewhere. */
export const userDatabase = 'admin'
