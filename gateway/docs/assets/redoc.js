Redoc.init("/openapi.yaml", { disableSearch: true, hideDownloadButton: false, nativeScrollbars: true }, document.getElementById("contract"));
