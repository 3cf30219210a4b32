/** `prod/mysql/reporting`, `password` -> `PROD_MYSQL_REPORTING_PASSWORD`: what a field is called in an environment. */
export function envName(secret: string, field: string): string {
  const prefix = secret.toUpperCase().replace(/[^A-Z0-9]+/g, '_');
  return `${/^[0-9]/.test(prefix) ? '_' : ''}${prefix}_${field.toUpperCase().replace(/[^A-Z0-9]+/g, '_')}`;
}
