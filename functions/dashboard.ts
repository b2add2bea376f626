import { dashboardApplication } from '../shared/dashboard/application.ts'
import { run } from '../shared/serving/serve.ts'

/** Pages for people about their instances, which `dashboard_url` names. No operation of the specification. */
await run('dashboard', { cluster: true }, dashboardApplication)
