// Applications that find their database by a library, write a note and read it: one after the other in one process, each
// with the environment variables of its row.
//
// Takes the name of a file: a list of rows. Prints a line `row {"answer": …}` or `row {"error": …}` for each.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/buildpacks/libcnb"
	"github.com/cloudfoundry-community/go-cfenv"
	"github.com/go-sql-driver/mysql"
	"github.com/lib/pq"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const text = "from Go"

type row struct {
	Library, Kind, Does string
	// of the table, key, queue, topic or index
	Note        string
	Environment map[string]string
}

func (r row) writes() bool { return r.Does == "write" }

// credentials gives a text by its key, empty where it is not there.
type credentials func(key string) string

func main() {
	if err := runAll(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runAll(file string) error {
	wishes, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var rows []row
	if err := json.Unmarshal(wishes, &rows); err != nil {
		return err
	}
	for _, r := range rows {
		os.Clearenv()
		for name, value := range r.Environment {
			os.Setenv(name, value)
		}
		end := map[string]string{}
		if answer, err := run(r); err != nil {
			end["error"] = err.Error()
		} else {
			end["answer"] = answer
		}
		line, err := json.Marshal(end)
		if err != nil {
			return err
		}
		fmt.Printf("row %s\n", line)
	}
	return nil
}

func run(r row) (string, error) {
	found, err := find(r.Library)
	if err != nil {
		return "", err
	}
	use, ok := map[string]func(context.Context, credentials, row) (string, error){
		"postgresql":    usePostgres,
		"mysql":         useMySQL,
		"mongodb":       useMongoDB,
		"redis":         useRedis,
		"rabbitmq":      useRabbitMQ,
		"kafka":         useKafka,
		"elasticsearch": useElasticsearch,
	}[r.Kind]
	if !ok {
		return "", fmt.Errorf("no client for %s", r.Kind)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return use(ctx, found, r)
}

func find(library string) (credentials, error) {
	switch library {
	case "go-cfenv":
		app, err := cfenv.Current()
		if err != nil {
			return nil, err
		}
		service, err := app.Services.WithName("notes-db")
		if err != nil {
			return nil, err
		}
		return func(key string) string {
			// Numbers and the like are not text there.
			value, ok := service.Credentials[key]
			if !ok {
				return ""
			}
			return fmt.Sprint(value)
		}, nil
	case "libcnb":
		bindings, err := libcnb.NewBindingsFromPath(os.Getenv("SERVICE_BINDING_ROOT"))
		if err != nil {
			return nil, err
		}
		for _, binding := range bindings {
			if binding.Name == "notes-db" {
				return func(key string) string { return binding.Secret[key] }, nil
			}
		}
		return nil, errors.New("no binding notes-db")
	}
	return nil, fmt.Errorf("no library %s", library)
}

// trust is nil where the database does not speak TLS.
func trust(c credentials) *tls.Config {
	ca := c("rootCert")
	if ca == "" {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(ca))
	return &tls.Config{RootCAs: pool, ServerName: c("host")}
}

func useSQL(ctx context.Context, db *sql.DB, r row) (string, error) {
	defer db.Close()
	if r.writes() {
		if _, err := db.ExecContext(ctx, "INSERT INTO "+r.Note+" VALUES ('"+text+"')"); err != nil {
			return "", err
		}
	}
	var line string
	err := db.QueryRowContext(ctx, "SELECT line FROM "+r.Note).Scan(&line)
	return line, err
}

func usePostgres(ctx context.Context, c credentials, r row) (string, error) {
	uri := c("uri")
	if ca := c("rootCert"); ca != "" {
		file, err := os.CreateTemp(".", "root-*.crt")
		if err != nil {
			return "", err
		}
		defer file.Close()
		if _, err := file.WriteString(ca); err != nil {
			return "", err
		}
		uri += "&sslrootcert=" + url.QueryEscape(file.Name())
	}
	connector, err := pq.NewConnector(uri)
	if err != nil {
		return "", err
	}
	return useSQL(ctx, sql.OpenDB(connector), r)
}

func useMySQL(ctx context.Context, c credentials, r row) (string, error) {
	config := mysql.NewConfig()
	config.Net = "tcp"
	config.Addr = c("host") + ":" + c("port")
	config.User, config.Passwd, config.DBName = c("username"), c("password"), c("database")
	config.TLS = trust(c)
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return "", err
	}
	return useSQL(ctx, sql.OpenDB(connector), r)
}

func useMongoDB(ctx context.Context, c credentials, r row) (string, error) {
	wish := options.Client().ApplyURI(c("uri"))
	if config := trust(c); config != nil {
		// Members have names of their own.
		config.ServerName = ""
		wish.SetTLSConfig(config)
	}
	client, err := mongo.Connect(wish)
	if err != nil {
		return "", err
	}
	defer client.Disconnect(ctx)
	notes := client.Database(c("database")).Collection(r.Note)
	if r.writes() {
		if _, err := notes.InsertOne(ctx, bson.M{"line": text}); err != nil {
			return "", err
		}
	}
	var found struct{ Line string }
	err = notes.FindOne(ctx, bson.M{}).Decode(&found)
	return found.Line, err
}

func useRedis(ctx context.Context, c credentials, r row) (string, error) {
	wish, err := redis.ParseURL(c("url"))
	if err != nil {
		return "", err
	}
	if config := trust(c); config != nil {
		config.ServerName = ""
		wish.TLSConfig = config
	}
	var client redis.UniversalClient = redis.NewClient(wish)
	if nodes := c("cluster.nodes"); nodes != "" {
		client = redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: strings.Split(nodes, ","), Username: wish.Username, Password: wish.Password, TLSConfig: wish.TLSConfig,
		})
	}
	defer client.Close()
	if r.writes() {
		if err := client.Set(ctx, r.Note, text, 0).Err(); err != nil {
			return "", err
		}
	}
	return client.Get(ctx, r.Note).Result()
}

func useRabbitMQ(ctx context.Context, c credentials, r row) (string, error) {
	connection, err := amqp.Dial(c("uri"))
	if err != nil {
		return "", err
	}
	defer connection.Close()
	channel, err := connection.Channel()
	if err != nil {
		return "", err
	}
	closed := channel.NotifyClose(make(chan *amqp.Error, 1))
	if r.writes() {
		if err := channel.Confirm(false); err != nil {
			return "", err
		}
		sent, err := channel.PublishWithDeferredConfirmWithContext(ctx, "", r.Note, true, false,
			amqp.Publishing{Body: []byte(text)})
		if err != nil {
			return "", err
		}
		if acknowledged, err := sent.WaitContext(ctx); err != nil {
			return "", err
		} else if !acknowledged {
			return "", fmt.Errorf("not taken: %v", <-closed)
		}
	}
	message, ok, err := channel.Get(r.Note, true)
	if err == nil && !ok {
		err = errors.New("the queue is empty")
	}
	return string(message.Body), err
}

func useKafka(ctx context.Context, c credentials, r row) (string, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(c("bootstrapServers"), ",")...),
		kgo.SASL(plain.Auth{User: c("username"), Pass: c("password")}.AsMechanism()),
		kgo.ConsumeTopics(r.Note),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.AllowAutoTopicCreation(),
	)
	if err != nil {
		return "", err
	}
	defer client.Close()
	if r.writes() {
		if err := client.ProduceSync(ctx, &kgo.Record{Topic: r.Note, Value: []byte(text)}).FirstErr(); err != nil {
			return "", err
		}
	}
	for ctx.Err() == nil {
		for _, record := range client.PollFetches(ctx).Records() {
			return string(record.Value), nil
		}
	}
	return "", ctx.Err()
}

func useElasticsearch(ctx context.Context, c credentials, r row) (string, error) {
	client := http.Client{Transport: &http.Transport{TLSClientConfig: trust(c)}}
	ask := func(method, body string) ([]byte, error) {
		request, err := http.NewRequestWithContext(ctx, method, c("uris")+"/"+r.Note+"/_doc/1", strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		request.SetBasicAuth(c("username"), c("password"))
		request.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(request)
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
		all, err := io.ReadAll(answer.Body)
		if err == nil && answer.StatusCode >= 300 {
			err = fmt.Errorf("%s: %s", answer.Status, all)
		}
		return all, err
	}
	if r.writes() {
		if _, err := ask("PUT", `{"line":"`+text+`"}`); err != nil {
			return "", err
		}
	}
	all, err := ask("GET", "")
	if err != nil {
		return "", err
	}
	var found struct {
		Source struct{ Line string } `json:"_source"`
	}
	err = json.Unmarshal(all, &found)
	return found.Source.Line, err
}
