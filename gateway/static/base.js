// Where the gateway is: a proxy may serve it below a path, such as /engine/.

const base = new URL(".", document.baseURI);

/** The URL of a path of the gateway. */
export const url = (path) => new URL(path.slice(1), base).href;

/** A name of this gateway's own, where several share an origin. */
export const own = (name) => (base.pathname === "/" ? name : `${name} ${base.pathname}`);
