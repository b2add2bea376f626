/** What the broker writes for each plan of a catalog: the admission policy is made from it, and tests walk it too. */
export * from '../../generate/plan-walk.ts'
