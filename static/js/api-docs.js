// The page that shows the schema, and lets whoever is signed in try it.

const place = document.getElementById("api-docs");

SwaggerUIBundle({
  domNode: place,
  url: place.dataset.schema,
  deepLinking: true,
  docExpansion: "list",
  validatorUrl: null,
  displayRequestDuration: true,
  requestInterceptor: (request) => {
    if (!["GET", "HEAD"].includes(request.method)) {
      request.headers["X-CSRFToken"] = place.dataset.csrfToken;
    }
    return request;
  },
});
