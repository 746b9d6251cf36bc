declare module "virtual:theme.css";
declare module "*.module.css" {
  const names: Record<string, string>;
  export default names;
}
